import Base
internal import CZstd

/// Compression of whole frames: content size and checksum in each, no dictionary.
///
/// Contexts are kept and used again; each is used by one thread at a time.
enum Zstandard {
  private static let compressors = Locked<[Compressor]>([])
  private static let decompressors = Locked<[Decompressor]>([])

  /// The levels that the library takes.
  static let levels = Int(ZSTD_minCLevel())...Int(ZSTD_maxCLevel())

  /// One frame.
  static func compress(_ content: UnsafeRawBufferPointer, level: Int) throws(Failure) -> [UInt8] {
    let kept = compressors.withLock { $0.popLast() }
    let compressor = if let kept { kept } else { try Compressor() }
    defer { compressors.withLock { $0.append(compressor) } }
    return try compressor.compress(content, level: level)
  }

  /// The content of one frame, whose claimed size the caller has checked.
  static func decompress(
    _ frame: UnsafeRawBufferPointer, size: Int
  ) throws(ZstandardError) -> [UInt8] {
    let kept = decompressors.withLock { $0.popLast() }
    let decompressor = if let kept { kept } else { try Decompressor() }
    defer { decompressors.withLock { $0.append(decompressor) } }
    return try decompressor.decompress(frame, size: size)
  }
}

/// What the library says of a frame that it cannot read.
struct ZstandardError: Error {
  var reason: String
}

private func reason(_ code: Int) -> String { String(cString: ZSTD_getErrorName(code)) }

private final class Compressor: @unchecked Sendable {
  private let context: OpaquePointer

  init() throws(Failure) {
    guard let context = ZSTD_createCCtx() else { throw .compression("out of memory") }
    self.context = context
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1)
  }

  deinit { ZSTD_freeCCtx(context) }

  func compress(_ content: UnsafeRawBufferPointer, level: Int) throws(Failure) -> [UInt8] {
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
    let bound = ZSTD_compressBound(content.count)
    var code = 0
    let frame = [UInt8](unsafeUninitializedCapacity: bound) { buffer, filled in
      code = ZSTD_compress2(context, buffer.baseAddress, bound, content.baseAddress, content.count)
      filled = ZSTD_isError(code) == 0 ? code : 0
    }
    guard ZSTD_isError(code) == 0 else { throw .compression(reason(code)) }
    return frame
  }
}

private final class Decompressor: @unchecked Sendable {
  private let context: OpaquePointer

  init() throws(ZstandardError) {
    guard let context = ZSTD_createDCtx() else { throw ZstandardError(reason: "out of memory") }
    self.context = context
  }

  deinit { ZSTD_freeDCtx(context) }

  func decompress(
    _ frame: UnsafeRawBufferPointer, size: Int
  ) throws(ZstandardError) -> [UInt8] {
    var code = 0
    let content = [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
      code = ZSTD_decompressDCtx(context, buffer.baseAddress, size, frame.baseAddress, frame.count)
      filled = ZSTD_isError(code) == 0 ? code : 0
    }
    guard ZSTD_isError(code) == 0 else { throw ZstandardError(reason: reason(code)) }
    guard content.count == size else {
      throw ZstandardError(reason: "the content is not as long as the frame says")
    }
    return content
  }
}
