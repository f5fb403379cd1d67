public import Base

/// The content of one named array: type, shape and little-endian bytes that fit them.
public struct ArrayData: Sendable, Equatable {
  /// The elements' type.
  public let type: ElementType
  /// The dimensions, slowest first; empty for a single element.
  public let shape: [Int]
  /// The elements, little-endian, row by row.
  public let bytes: [UInt8]

  /// An array from its parts.
  ///
  /// - Throws: `badInput` unless the bytes are as many as type and shape say.
  public init(type: ElementType, shape: [Int], bytes: [UInt8]) throws(Failure) {
    guard type.byteCount(shape: shape) == bytes.count else {
      throw .arraySize(type: type, shape: shape, bytes: bytes.count)
    }
    self.init(unchecked: type, shape, bytes)
  }

  init(unchecked type: ElementType, _ shape: [Int], _ bytes: [UInt8]) {
    self.type = type
    self.shape = shape
    self.bytes = bytes
  }

  private init<Element>(copying values: [Element], _ type: ElementType, _ shape: [Int]?) {
    let shape = shape ?? [values.count]
    precondition(
      type.byteCount(shape: shape) == values.count * type.size, "the shape must fit the values")
    self.init(unchecked: type, shape, values.withUnsafeBytes { Array($0) })
  }

  /// An F32 array; one-dimensional unless a shape is given, which must fit.
  public init(_ values: [Float], shape: [Int]? = nil) { self.init(copying: values, .f32, shape) }

  /// An F64 array.
  public init(_ values: [Double], shape: [Int]? = nil) { self.init(copying: values, .f64, shape) }

  /// An I64 array.
  public init(_ values: [Int64], shape: [Int]? = nil) { self.init(copying: values, .i64, shape) }

  /// An I32 array.
  public init(_ values: [Int32], shape: [Int]? = nil) { self.init(copying: values, .i32, shape) }

  /// An I16 array.
  public init(_ values: [Int16], shape: [Int]? = nil) { self.init(copying: values, .i16, shape) }

  /// A U8 array.
  public init(_ values: [UInt8], shape: [Int]? = nil) { self.init(copying: values, .u8, shape) }

  /// The number of elements.
  public var count: Int { bytes.count / type.size }
}
