public import Tensors

/// Binary cross-entropy of the end-of-speech logits: the sum over the scored positions divided by
/// their number.
///
/// - Parameters:
///   - logits: `[positions]` or `[positions, 1]`, the scored ones only.
///   - isEnd: for each whether speech has ended there.
/// - Returns: `[1]`.
public func endOfSpeechLoss(logits: Tensor, isEnd: [Bool]) -> Tensor {
  let logits = logits.reshaped([isEnd.count])
  let labels = Tensor(isEnd.map { $0 ? 1 : 0 })
  return (logits.softplus() - logits * labels).sum() * (1 / Float(max(1, isEnd.count)))
}
