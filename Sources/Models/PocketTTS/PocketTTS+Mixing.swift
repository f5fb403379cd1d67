import Base
import ModelInterface
import NeuralNetworks
import Tensors

extension PocketTTSModel {
  /// In the metadata of the weights: the digests of the models that they are the mean of, with the share
  /// of each.
  static let meanKey = "mean_of"

  func replacing(_ tensors: [String: Tensor], from subject: String) throws -> any SpeechModel {
    let weights = try files.flowLM()
    var values: [String: Tensor] = [:]
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      // The loss has learned weights of its own, which no model keeps.
      if name.hasPrefix("flow.") { continue }
      guard !LowRankUpdate.isPart(name) else {
        throw Failure.configuration(
          subject, "it holds low-rank updates of weights that the run does not keep",
          "merge the run's adapter.safetensors into the model that it began from")
      }
      let key = String(name.dropFirst(8))
      guard name.hasPrefix("flow_lm."), weights.contains(key),
        try weights.value(key).shape == tensor.shape
      else {
        throw Failure.configuration(
          subject, "'\(name)' of shape \(tensor.shape) is no tensor of the model \(path)",
          "give a checkpoint of this model")
      }
      values[key] = tensor
    }
    var model = self
    model.files.changes.append { [values] in values[$0] ?? $1 }
    return model
  }

  func averaged(with others: [any SpeechModel], shares: [Double]) throws -> any SpeechModel {
    let others = try others.map { other in
      guard let other = other as? PocketTTSModel else {
        throw Failure.configuration(
          other.path, "not the same kind of model as \(path)", "average models of one kind")
      }
      try requireSameButWeights(other)
      return other
    }
    let parts = try others.map { try $0.files.flowLM() }
    var model = self
    model.files.changes.append { [shares] key, tensor in
      mean(of: try [tensor] + parts.map { try $0.value(key) }, shares)
    }
    let digests = try ([self] + others).map { model in
      defer { model.releasePages() }
      return try model.synthesizerDigest()
    }
    model.provenance = [
      Self.meanKey: zip(digests, shares).map { "\($1) of \($0)" }.joined(separator: ", ")
    ]
    return model
  }

  /// - Throws: `configuration` when another model differs in more than the values of its language model.
  private func requireSameButWeights(_ other: PocketTTSModel) throws {
    func fail(_ problem: String) -> Failure {
      Failure.configuration(other.path, problem, "average runs that began from the same model")
    }
    if let (own, its) = configuration.architecture(differingFrom: other.configuration) {
      throw fail("another architecture than \(path): '\(its)', not '\(own)'")
    }
    guard try tokenizerDigest() == other.tokenizerDigest() else {
      throw fail("its tokenizer is not that of \(path)")
    }
    guard try encoderDigest() == other.encoderDigest(), try decoderDigest() == other.decoderDigest()
    else { throw fail("its codec is not that of \(path)") }
    let (own, its) = (try files.flowLM(), try other.files.flowLM())
    for key in Set(own.keys).union(its.keys).sorted() {
      guard own.contains(key), its.contains(key),
        try own.value(key).shape == its.value(key).shape
      else { throw fail("'flow_lm.\(key)' is missing or has another shape than in \(path)") }
    }
  }

  /// Lets go of the mapped weights, which whoever reads many models would pile up.
  private func releasePages() {
    for weights in [try? files.unchanged.flowLM(), try? files.mimi()].compactMap(\.self) {
      for key in weights.keys { (try? weights.value(key))?.releasePages() }
    }
  }
}

/// The sum of tensors of one shape, each multiplied by its share, in double precision: equal ones come
/// out as they are.
private func mean(of tensors: [Tensor], _ shares: [Double]) -> Tensor {
  var sums = [Double](repeating: 0, count: tensors[0].count)
  for (tensor, share) in zip(tensors, shares) {
    tensor.withValues { values in
      for index in sums.indices { sums[index] += share * Double(values[index]) }
    }
    tensor.releasePages()
  }
  return Tensor(sums.map { Float($0) }, shape: tensors[0].shape)
}

extension Configuration {
  /// The first line of the YAML in which the architectures of two models differ, as it is here and there;
  /// paths and the handling of texts do not count.
  fileprivate func architecture(differingFrom other: Configuration) -> (String, String)? {
    func lines(_ configuration: Configuration) -> [String] {
      var plain = self
      (plain.flowLM, plain.mimi) = (configuration.flowLM, configuration.mimi)
      plain.flowLM.weightsPath = nil
      plain.mimi.weightsPath = nil
      plain.flowLM.lookupTable.tokenizerPath = ""
      return plain.yaml.split(separator: "\n").map {
        $0.trimmingPrefix { $0 == " " }.description
      }
    }
    let (own, its) = (lines(self), lines(other))
    return zip(own + [""], its + [""]).first { $0 != $1 }
  }
}
