import CKernels

/// How the second operand's values spread over the first's shape.
enum Broadcast: Int32 {
  case same, row, column, scalar

  /// - Precondition: `b` has `a`'s shape, or its trailing dimensions, or its shape with a last
  ///   dimension of 1, or one element.
  init(_ a: [Int], _ b: [Int]) {
    if a == b {
      self = .same
    } else if b.reduce(1, *) == 1 {
      self = .scalar
    } else if a.count == b.count, a.dropLast() == b.dropLast(), b.last == 1 {
      self = .column
    } else if Array(a.suffix(b.count)) == b {
      self = .row
    } else {
      preconditionFailure("shapes \(a) and \(b) do not combine")
    }
  }

  /// Rows and columns of the matrix that the C kernel sees.
  func matrix(_ a: Tensor, _ b: Tensor) -> (rows: Int, columns: Int) {
    switch self {
    case .row: (a.count / max(1, b.count), b.count)
    default: (a.rows, a.columns)
    }
  }

  /// Sums a gradient of the first operand's shape down to the second's.
  func reduce(_ gradient: Tensor, to b: Tensor) -> Tensor {
    switch self {
    case .same: gradient
    case .row:
      Tensor(shape: b.shape) { target in
        ck_column_sums(gradient.pointer, target, gradient.count / max(1, b.count), b.count)
      }
    case .column: gradient.rowSums()
    case .scalar: gradient.sum().reshaped(b.shape)
    }
  }
}

/// a + b, a - b or a * b, element by element.
struct Binary: PrimitiveOperation {
  enum Kind: Int32 {
    case add, subtract, multiply
  }
  let kind: Kind

  func value(_ inputs: [Tensor]) -> Tensor {
    let (a, b) = (inputs[0], inputs[1])
    let broadcast = Broadcast(a.shape, b.shape)
    let (rows, columns) = broadcast.matrix(a, b)
    return Tensor(shape: a.shape) { target in
      let target = SharedPointer(target)
      parallelRows(rows, columns: columns) { range in
        let skip =
          switch broadcast {
          case .same: range.lowerBound * columns
          case .column: range.lowerBound
          case .row, .scalar: 0
          }
        ck_binary(
          kind.rawValue, broadcast.rawValue, a.pointer + range.lowerBound * columns,
          b.pointer + skip, target + range.lowerBound * columns, range.count, columns)
      }
    }
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] {
    kind == .multiply ? [wanted[1], wanted[0]] : [false, false]
  }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let (a, b) = (inputs[0], inputs[1])
    let broadcast = Broadcast(a.shape, b.shape)
    switch kind {
    case .add: return [gradient, wanted[1] ? broadcast.reduce(gradient, to: b) : nil]
    case .subtract: return [gradient, wanted[1] ? broadcast.reduce(-gradient, to: b) : nil]
    case .multiply:
      return [
        wanted[0] ? gradient * b : nil,
        wanted[1] ? broadcast.reduce(gradient * a, to: b) : nil,
      ]
    }
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    let (a, b) = (inputs[0], inputs[1])
    // A tangent of the smaller operand spreads over the output's shape.
    func spread(_ tangent: Tensor) -> Tensor { Tensor.zeros(a.shape) + tangent }
    switch (kind, tangents[0], tangents[1]) {
    case (.add, let p?, let q?): return p + q
    case (.add, nil, let q?): return spread(q)
    case (.subtract, let p?, let q?): return p - q
    case (.subtract, nil, let q?): return spread(-q)
    case (.multiply, let p?, let q?): return p * b + a * q
    case (.multiply, nil, let q?): return a * q
    case (.multiply, let p?, nil): return p * b
    case (_, let p?, nil): return p
    case (_, nil, nil): preconditionFailure("a pushforward has a tangent")
    }
  }
}

/// x * scale + offset with constants.
struct Affine: LinearOperation {
  let scale: Float
  let offset: Float

  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    return Tensor(shape: x.shape) { target in
      let target = SharedPointer(target)
      parallelRanges(x.count) { range in
        ck_scale(
          x.pointer + range.lowerBound, scale, offset, target + range.lowerBound, range.count)
      }
    }
  }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    [scale == 1 ? gradient : gradient * scale]
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    guard let tangent = tangents[0] else { preconditionFailure("a pushforward has a tangent") }
    return scale == 1 ? tangent : tangent * scale
  }
}

extension Tensor {
  /// The sum, element by element; the smaller operand is spread over the larger.
  public static func + (a: Tensor, b: Tensor) -> Tensor {
    a.count >= b.count
      ? apply(Binary(kind: .add), [a, b]) : apply(Binary(kind: .add), [b, a])
  }

  /// The difference, element by element; the smaller operand is spread over the larger.
  public static func - (a: Tensor, b: Tensor) -> Tensor {
    a.count >= b.count
      ? apply(Binary(kind: .subtract), [a, b]) : apply(Binary(kind: .subtract), [b, a]) * -1
  }

  /// The product, element by element; the smaller operand is spread over the larger.
  public static func * (a: Tensor, b: Tensor) -> Tensor {
    a.count >= b.count
      ? apply(Binary(kind: .multiply), [a, b]) : apply(Binary(kind: .multiply), [b, a])
  }

  /// The product with a constant.
  public static func * (a: Tensor, scale: Float) -> Tensor {
    apply(Affine(scale: scale, offset: 0), [a])
  }

  /// The sum with a constant.
  public static func + (a: Tensor, offset: Float) -> Tensor {
    apply(Affine(scale: 1, offset: offset), [a])
  }

  /// The difference from a constant.
  public static func - (constant: Float, a: Tensor) -> Tensor {
    apply(Affine(scale: -1, offset: constant), [a])
  }

  /// The negative.
  public static prefix func - (a: Tensor) -> Tensor { a * -1 }

  /// The sum with a tensor of the same shape, in the memory of this one where nobody else uses it and
  /// nothing is recorded: large ones are not there three times.
  public consuming func adding(_ other: Tensor) -> Tensor {
    precondition(shape == other.shape, "shapes \(shape) and \(other.shape) differ")
    guard node == nil, other.node == nil, tangentBox == nil, other.tangentBox == nil else {
      return self + other
    }
    mutate { values in
      guard let base = values.baseAddress else { return }
      let target = SharedPointer(base)
      parallelRanges(values.count) { range in
        ck_accumulate(
          target + range.lowerBound, other.pointer + range.lowerBound, range.count)
      }
    }
    return self
  }

  /// The squares.
  public func squared() -> Tensor { self * self }
}
