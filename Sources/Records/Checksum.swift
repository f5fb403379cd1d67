internal import CXXHash

/// The low 32 bits of XXH64 with seed 0: the checksum of zstd frames and of our own.
func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
  UInt32(truncatingIfNeeded: XXH64(bytes.baseAddress, bytes.count, 0))
}

extension [UInt8] {
  /// Appends a number, little-endian.
  mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }
}

extension UnsafeRawBufferPointer {
  /// A number at a place that the caller has checked.
  func littleEndian<Value: FixedWidthInteger & BitwiseCopyable>(
    _: Value.Type, at offset: Int
  ) -> Value {
    Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  /// A piece, counted from its own start.
  func piece(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: self[range])
  }
}
