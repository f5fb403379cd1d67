import Base
import CKernels

/// A float32 array of any rank, row-major and contiguous: a value.
///
/// A tensor may stand on a ``Tape`` (then what is computed from it is recorded, for gradients) and
/// may carry a tangent (then what is computed from it carries one too: forward-mode derivatives).
/// Tangents are themselves recorded, so that a Jacobian-vector product inside a loss is
/// differentiated exactly.
public struct Tensor: Sendable {
  /// The sizes of the dimensions, outermost first.
  public let shape: [Int]
  var storage: Storage
  let offset: Int
  var node: Tape.Node?
  var tangentBox: TangentBox?

  init(shape: [Int], storage: Storage, offset: Int = 0) {
    self.shape = shape
    self.storage = storage
    self.offset = offset
  }

  /// Uninitialised memory of a shape, filled by `fill`.
  init(shape: [Int], fill: (UnsafeMutablePointer<Float>) -> Void) {
    self.init(shape: shape, storage: Storage(count: shape.reduce(1, *)))
    fill(storage.floats)
  }

  /// A tensor of given values.
  public init(_ values: [Float], shape: [Int]) {
    precondition(values.count == shape.reduce(1, *), "values do not fill the shape \(shape)")
    self.init(shape: shape) { target in
      values.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { target.update(from: base, count: values.count) }
      }
    }
  }

  /// A vector of given values.
  public init(_ values: [Float]) { self.init(values, shape: [values.count]) }

  /// The same value everywhere.
  public init(repeating value: Float, shape: [Int]) {
    self.init(shape: shape) { target in
      target.update(repeating: value, count: shape.reduce(1, *))
    }
  }

  /// Zeros.
  public static func zeros(_ shape: [Int]) -> Tensor { Tensor(repeating: 0, shape: shape) }

  /// A tensor in memory of somebody else (a mapped file), which `owner` keeps alive.
  public init(borrowing floats: UnsafePointer<Float>, shape: [Int], owner: AnyObject) {
    self.init(
      shape: shape,
      storage: Storage(borrowing: floats, count: shape.reduce(1, *), owner: owner))
  }

  /// The number of values.
  public var count: Int { shape.reduce(1, *) }
  /// The size of the last dimension.
  public var columns: Int { shape.last ?? 1 }
  /// The number of vectors along the last dimension.
  public var rows: Int { shape.dropLast().reduce(1, *) }

  var pointer: UnsafePointer<Float> { UnsafePointer(storage.floats + offset) }

  /// The values, row by row.
  public var values: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

  /// Reads the values in place.
  public func withValues<Result>(
    _ body: (UnsafeBufferPointer<Float>) throws -> Result
  ) rethrows -> Result {
    try body(UnsafeBufferPointer(start: pointer, count: count))
  }

  /// Changes the values in place; copies them first when somebody else uses the memory. The result
  /// stands on no tape.
  public mutating func mutate(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
    if !(isKnownUniquelyReferenced(&storage) && storage.isOwned) { self = copied() }
    node = nil
    tangentBox = nil
    body(UnsafeMutableBufferPointer(start: storage.floats + offset, count: count))
  }

  /// The same values in memory of their own; not recorded.
  public func copied() -> Tensor {
    Tensor(shape: shape) { $0.update(from: pointer, count: count) }
  }

  /// The single value of a tensor of one element.
  public var scalar: Float {
    precondition(count == 1, "a scalar has one element")
    return pointer[0]
  }

  /// The same values in another shape of the same count; free.
  public func reshaped(_ shape: [Int]) -> Tensor {
    precondition(shape.reduce(1, *) == count, "cannot reshape \(self.shape) to \(shape)")
    var result = Tensor(shape: shape, storage: storage, offset: offset)
    result.node = node
    result.tangentBox = tangentBox.map { TangentBox($0.tangent.reshaped(shape)) }
    return result
  }

  /// Lets go of the memory of a tensor that lies in a mapped file and will hardly be read again.
  public func releasePages() { storage.releasePages(offset..<offset + count) }

  /// The same values as a constant: no gradient and no tangent flows through.
  public func detached() -> Tensor { Tensor(shape: shape, storage: storage, offset: offset) }

  /// Whether it stands on a tape.
  public var isRecorded: Bool { node != nil }

  /// The derivative along the direction that was attached with ``attaching(tangent:)``; nil when
  /// this value does not depend on it.
  public var tangent: Tensor? { tangentBox?.tangent }

  /// The same value with a direction of differentiation attached.
  public func attaching(tangent: Tensor) -> Tensor {
    precondition(tangent.shape == shape, "a tangent has the shape of its value")
    var result = self
    result.tangentBox = TangentBox(tangent)
    return result
  }

  /// The same value, still on its tape, without tangent.
  public func withoutTangent() -> Tensor {
    var result = self
    result.tangentBox = nil
    return result
  }
}

/// A tangent, boxed because a value cannot hold a value of its own type.
final class TangentBox: Sendable {
  let tangent: Tensor
  init(_ tangent: Tensor) { self.tangent = tangent }
}
