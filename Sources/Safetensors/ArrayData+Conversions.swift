public import Base

extension ArrayData {
  /// The elements as floats: F32, F16 and BF16 exactly, F64 rounded, I16 as they are (not scaled).
  public func floats() throws(Failure) -> [Float] {
    do {
      return try bytes.withUnsafeBytes { try Self.floats($0, type: type) }
    } catch let failure as Failure {
      throw failure
    } catch {
      throw .elementType(type, wanted: "floating-point")
    }
  }

  /// The elements of an F64 array; empty for other types.
  public var doubles: [Double] { type == .f64 ? copied() : [] }

  /// The elements as 16-bit floats in an F16 array, rounded to nearest.
  public static func halves(_ values: [Float], shape: [Int]? = nil) -> ArrayData {
    let bits = values.map { Float16($0).bitPattern }
    let shape = shape ?? [values.count]
    precondition(ElementType.f16.byteCount(shape: shape) == bits.count * 2, "the shape must fit")
    return ArrayData(unchecked: .f16, shape, bits.withUnsafeBytes { Array($0) })
  }

  /// The elements in a BF16 array, rounded to nearest, halves to even; what is not a number stays none.
  public static func bfloats(_ values: [Float], shape: [Int]? = nil) -> ArrayData {
    let shape = shape ?? [values.count]
    precondition(ElementType.bf16.byteCount(shape: shape) == values.count * 2, "the shape must fit")
    let halves = values.map { value -> UInt16 in
      let bits = value.bitPattern
      if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
      return UInt16(truncatingIfNeeded: (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
    }
    return ArrayData(unchecked: .bf16, shape, halves.withUnsafeBytes { Array($0) })
  }

  /// The elements as 32-bit integers, from integer types; refused if one does not fit.
  public func int32s() throws(Failure) -> [Int32] {
    if type == .i32 { return copied() }
    let values = try int64s().map { Int32(exactly: $0) }
    let fitting = values.compactMap { $0 }
    guard fitting.count == values.count else {
      throw .elementType(type, wanted: "32-bit integer (a value does not fit)")
    }
    return fitting
  }

  /// The elements as 64-bit integers, from integer types; refused if one does not fit.
  public func int64s() throws(Failure) -> [Int64] {
    switch type {
    case .i64: return copied()
    case .i32: return widened(Int32.self)
    case .i16: return widened(Int16.self)
    case .i8: return widened(Int8.self)
    case .u32: return widened(UInt32.self)
    case .u16: return widened(UInt16.self)
    case .u8, .bool: return widened(UInt8.self)
    case .u64:
      let values: [UInt64] = copied()
      guard values.allSatisfy({ $0 <= UInt64(Int64.max) }) else {
        throw .elementType(type, wanted: "64-bit integer (a value does not fit)")
      }
      return values.map { Int64($0) }
    case .f64, .f32, .f16, .bf16: throw .elementType(type, wanted: "integer")
    }
  }

  private func widened<Element: FixedWidthInteger & BitwiseCopyable>(_: Element.Type) -> [Int64] {
    let values: [Element] = copied()
    return values.map { Int64($0) }
  }

  private func copied<Element: BitwiseCopyable>() -> [Element] {
    bytes.withUnsafeBytes { Self.copied($0, count: count) }
  }

  /// Elements of any alignment, copied at once.
  static func copied<Element: BitwiseCopyable>(
    _ bytes: UnsafeRawBufferPointer, count: Int
  ) -> [Element] {
    [Element](unsafeUninitializedCapacity: count) { buffer, filled in
      UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
      filled = count
    }
  }

  static func floats(
    _ bytes: UnsafeRawBufferPointer, type: ElementType
  ) throws(Failure) -> [Float] {
    let count = bytes.count / type.size
    switch type {
    case .f32: return copied(bytes, count: count)
    case .f64:
      let values: [Double] = copied(bytes, count: count)
      return values.map { Float($0) }
    case .bf16:
      let values: [UInt16] = copied(bytes, count: count)
      return values.map { Float(bitPattern: UInt32($0) << 16) }
    case .f16:
      let values: [UInt16] = copied(bytes, count: count)
      return values.map { Float(Float16(bitPattern: $0)) }
    case .i16:
      let values: [Int16] = copied(bytes, count: count)
      return values.map { Float($0) }
    case .i64, .i32, .i8, .u64, .u32, .u16, .u8, .bool:
      throw .elementType(type, wanted: "floating-point")
    }
  }
}
