import CKernels

/// The gated unit of WaveNet: half of the channels through tanh, times the other half through the logistic
/// function: `[..., 2 n]` to `[..., n]`.
struct Gate: Operation {
  /// Whether the first half goes through tanh, or the second.
  let tanhIsFirst: Bool

  private func places(_ channels: Int) -> (tanh: Int, sigmoid: Int) {
    tanhIsFirst ? (0, channels) : (channels, 0)
  }

  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    let channels = x.columns / 2
    let (tanh, sigmoid) = places(channels)
    return Tensor(shape: x.shape.dropLast() + [channels]) { target in
      let target = SharedPointer(target)
      parallelRows(x.rows, columns: x.columns) { range in
        ck_gate(
          x.pointer + range.lowerBound * x.columns, tanh, sigmoid,
          target + range.lowerBound * channels, range.count, channels)
      }
    }
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [true] }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let x = inputs[0]
    let channels = x.columns / 2
    let (tanh, sigmoid) = places(channels)
    return [
      Tensor(shape: x.shape) { target in
        let target = SharedPointer(target)
        parallelRows(x.rows, columns: x.columns) { range in
          ck_gate_gradient(
            x.pointer + range.lowerBound * x.columns, tanh, sigmoid,
            gradient.pointer + range.lowerBound * channels, target + range.lowerBound * x.columns,
            range.count, channels)
        }
      }
    ]
  }
}

extension Tensor {
  /// tanh of half of the channels times the logistic function of the other half (van den Oord et al.,
  /// 2016): `[..., 2 n]` to `[..., n]`.
  ///
  /// - Parameter tanhIsFirst: which half goes through tanh.
  public func gated(tanhIsFirst: Bool) -> Tensor {
    apply(Gate(tanhIsFirst: tanhIsFirst), [self])
  }
}
