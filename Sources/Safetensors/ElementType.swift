/// The type of an array's elements, by its name in safetensors headers.
public enum ElementType: String, Sendable, CaseIterable {
  /// 64-bit float.
  case f64 = "F64"
  /// 32-bit float.
  case f32 = "F32"
  /// 16-bit float (IEEE).
  case f16 = "F16"
  /// 16-bit float with the exponent of a 32-bit one.
  case bf16 = "BF16"
  /// 64-bit integer.
  case i64 = "I64"
  /// 32-bit integer.
  case i32 = "I32"
  /// 16-bit integer.
  case i16 = "I16"
  /// 8-bit integer.
  case i8 = "I8"
  /// 64-bit unsigned integer.
  case u64 = "U64"
  /// 32-bit unsigned integer.
  case u32 = "U32"
  /// 16-bit unsigned integer.
  case u16 = "U16"
  /// Byte.
  case u8 = "U8"
  /// Truth value, a byte each.
  case bool = "BOOL"

  /// Bytes an element.
  public var size: Int {
    switch self {
    case .f64, .i64, .u64: 8
    case .f32, .i32, .u32: 4
    case .f16, .bf16, .i16, .u16: 2
    case .i8, .u8, .bool: 1
    }
  }

  /// Bytes of an array of this type; nil when a dimension is negative or the product overflows.
  public func byteCount(shape: [Int]) -> Int? {
    var count = size
    for dimension in shape {
      guard dimension >= 0 else { return nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      if overflow { return nil }
      count = product
    }
    return count
  }
}
