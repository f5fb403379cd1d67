import CKernels

/// An element-wise function.
struct Function: PrimitiveOperation {
  enum Kind: Int32 {
    case silu, gelu, elu, sigmoid, exp, rsqrt, softplus, relu, sine, cosine, sqrt, log
    case tanh, exactGELU, leakyReLU, absolute
  }
  let kind: Kind

  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    return Tensor(shape: x.shape) { target in
      let target = SharedPointer(target)
      parallelRanges(x.count) { range in
        ck_unary(
          kind.rawValue, x.pointer + range.lowerBound, target + range.lowerBound, range.count)
      }
    }
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [true] }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    [slope(inputs[0], times: gradient)]
  }

  private func slope(_ x: Tensor, times gradient: Tensor) -> Tensor {
    Tensor(shape: x.shape) { target in
      let target = SharedPointer(target)
      parallelRanges(x.count) { range in
        ck_unary_gradient(
          kind.rawValue, x.pointer + range.lowerBound, gradient.pointer + range.lowerBound,
          target + range.lowerBound, range.count)
      }
    }
  }

  func pushforward(_ inputs: [Tensor], _ y: Tensor, _ tangents: [Tensor?]) -> Tensor {
    guard let tangent = tangents[0] else { preconditionFailure("a pushforward has a tangent") }
    let x = inputs[0]
    switch kind {
    case .silu:
      let s = x.sigmoid()
      return s * (x * (1 - s) + 1) * tangent
    case .gelu:
      // gelu(x) = x σ(u), u = 2 √(2/π) (x + 0.044715 x³)
      let c: Float = 2 * 0.797_884_560_8
      let s = ((x + x.squared() * x * 0.044715) * c).sigmoid()
      let inner = (x.squared() * (3 * 0.044715) + 1) * c
      return (s + x * s * (1 - s) * inner) * tangent
    case .elu: return (-(-x).relu()).exp() * tangent
    case .sigmoid: return y * (1 - y) * tangent
    case .exp: return y * tangent
    case .rsqrt: return y.squared() * y * -0.5 * tangent
    case .softplus: return x.sigmoid() * tangent
    case .relu, .leakyReLU, .absolute:
      return slope(x.detached(), times: Tensor(repeating: 1, shape: x.shape)) * tangent
    case .tanh: return (1 - y.squared()) * tangent
    case .exactGELU:
      // x Φ(x) has the slope Φ(x) + x φ(x); Φ(x) = y / x is no number at 0.
      preconditionFailure("the exact GELU has no forward rule")
    case .sine: return x.cosine() * tangent
    case .cosine: return -(x.sine() * tangent)
    case .sqrt: return x.rsqrt() * 0.5 * tangent
    case .log: return x.rsqrt().squared() * tangent
    }
  }
}

/// Values between bounds; outside no gradient flows.
struct Clamp: PrimitiveOperation {
  let range: ClosedRange<Float>

  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    return Tensor(shape: x.shape) { target in
      for index in 0..<x.count {
        target[index] = min(max(x.pointer[index], range.lowerBound), range.upperBound)
      }
    }
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [true] }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    [gradient * mask(inputs[0])]
  }

  private func mask(_ x: Tensor) -> Tensor {
    Tensor(x.values.map { range.contains($0) ? 1 : 0 }, shape: x.shape)
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    guard let tangent = tangents[0] else { preconditionFailure("a pushforward has a tangent") }
    return tangent * mask(inputs[0])
  }
}

extension Tensor {
  private func function(_ kind: Function.Kind) -> Tensor { apply(Function(kind: kind), [self]) }

  /// x σ(x).
  public func silu() -> Tensor { function(.silu) }
  /// The tanh form of GELU.
  public func gelu() -> Tensor { function(.gelu) }
  /// x above 0, exp(x) - 1 below.
  public func elu() -> Tensor { function(.elu) }
  /// 1 / (1 + exp(-x)).
  public func sigmoid() -> Tensor { function(.sigmoid) }
  /// The exponential.
  public func exp() -> Tensor { function(.exp) }
  /// 1 / √x.
  public func rsqrt() -> Tensor { function(.rsqrt) }
  /// log(1 + exp(x)).
  public func softplus() -> Tensor { function(.softplus) }
  /// x above 0, else 0.
  public func relu() -> Tensor { function(.relu) }
  /// The sine.
  public func sine() -> Tensor { function(.sine) }
  /// The cosine.
  public func cosine() -> Tensor { function(.cosine) }
  /// The square root.
  public func squareRoot() -> Tensor { function(.sqrt) }
  /// The natural logarithm.
  public func log() -> Tensor { function(.log) }
  /// The hyperbolic tangent.
  public func tanh() -> Tensor { function(.tanh) }
  /// x Φ(x), Φ the normal distribution function. It has no tangents.
  public func exactGELU() -> Tensor { function(.exactGELU) }
  /// x from 0 on, 0.2 x below.
  public func leakyReLU() -> Tensor { function(.leakyReLU) }
  /// The nearest value within bounds; for small tensors.
  public func clamped(to range: ClosedRange<Float>) -> Tensor {
    apply(Clamp(range: range), [self])
  }
  /// The absolute value.
  public func absolute() -> Tensor { function(.absolute) }
}
