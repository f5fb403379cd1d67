import Base
import CKernels
import Glibc

/// Memory for floats: aligned to a cache line, freed with its last user, or borrowed from an owner
/// (a mapped file).
final class Storage: @unchecked Sendable {
  let floats: UnsafeMutablePointer<Float>
  let count: Int
  private let owner: AnyObject?
  /// Bytes of memory of its own, which may be more than are used; 0 for that of somebody else.
  private let capacity: Int

  /// Uninitialised memory.
  init(count: Int) {
    let memory: UnsafeMutableRawPointer
    (memory, capacity) = MemoryBlocks.take(bytes: max(1, count) * MemoryLayout<Float>.stride)
    floats = memory.bindMemory(to: Float.self, capacity: max(1, count))
    self.count = count
    owner = nil
  }

  /// Memory of somebody else, never written.
  init(borrowing floats: UnsafePointer<Float>, count: Int, owner: AnyObject) {
    self.floats = UnsafeMutablePointer(mutating: floats)
    self.count = count
    self.owner = owner
    capacity = 0
  }

  deinit {
    if owner == nil { MemoryBlocks.giveBack(floats, bytes: capacity) }
  }

  /// Whether the memory may be written when nobody else uses it.
  var isOwned: Bool { owner == nil }

  /// Lets go of the memory behind a part of a mapped file: it is read again when it is touched.
  func releasePages(_ range: Range<Int>) {
    guard owner != nil else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = (Int(bitPattern: floats + range.lowerBound) + page - 1) / page * page
    let end = Int(bitPattern: floats + range.upperBound) / page * page
    guard end > start, let base = UnsafeMutableRawPointer(bitPattern: start) else { return }
    madvise(base, end - start, MADV_DONTNEED)
  }
}

/// What becomes of the memory of tensors that are no longer used.
public enum TensorMemory {
  /// Bytes kept for reuse at most, rather than given back to the system. Training, whose steps are
  /// all alike, keeps what it can.
  public static var kept: Int {
    get { MemoryBlocks.limit.withLock { $0 } }
    set { MemoryBlocks.limit.withLock { $0 = newValue } }
  }

  /// Gives back what is kept now: what comes next has no use for blocks of these sizes.
  public static func release() { MemoryBlocks.release() }
}

/// Memory from the system. Large blocks are kept for reuse, up to a limit: fresh pages cost more
/// than the arithmetic on them (a fifth of a training step, measured).
private enum MemoryBlocks {
  private struct Kept: Sendable {
    /// Addresses by size.
    var blocks: [Int: [UInt]] = [:]
    var bytes = 0
  }
  private static let kept = Locked(Kept())
  static let limit = Locked(64 << 20)
  /// Blocks from here on are kept.
  private static let keepable = 64 << 10
  /// Blocks from here on lie on large pages where the system has them.
  private static let large = 2 << 20

  /// What is kept comes in sizes that others can use again: steps of an eighth, of large blocks whole
  /// large pages.
  private static func size(_ bytes: Int) -> Int {
    guard bytes >= keepable else { return bytes }
    let eighth = 1 << (Int.bitWidth - 1 - bytes.leadingZeroBitCount - 3)
    let step = bytes >= large ? max(large, eighth) : eighth
    return (bytes + step - 1) / step * step
  }

  /// A block of at least so many bytes, and how many it has. A kept one may be half as large again: lengths
  /// vary from batch to batch, and a block of each would soon fill the memory.
  static func take(bytes: Int) -> (memory: UnsafeMutableRawPointer, bytes: Int) {
    let size = size(bytes)
    if size >= keepable {
      let known = kept.withLock { kept -> (address: UInt, size: Int)? in
        var fitting = size
        while fitting <= size + size / 2 {
          if let block = kept.blocks[fitting]?.popLast() {
            kept.bytes -= fitting
            return (block, fitting)
          }
          fitting = Self.size(fitting + 1)
        }
        return nil
      }
      if let known, let block = UnsafeMutableRawPointer(bitPattern: known.address) {
        return (block, known.size)
      }
    }
    var memory: UnsafeMutableRawPointer?
    let isLarge = size >= large
    let status = posix_memalign(&memory, isLarge ? large : 64, size)
    guard status == 0, let memory else { preconditionFailure("out of memory: \(size) bytes") }
    if isLarge { madvise(memory, size, MADV_HUGEPAGE) }
    return (memory, size)
  }

  static func release() {
    let blocks = kept.withLock { kept in
      defer { kept = Kept() }
      return kept.blocks.values.joined()
    }
    for address in blocks { free(UnsafeMutableRawPointer(bitPattern: address)) }
  }

  /// - Parameter size: as ``take(bytes:)`` told it.
  static func giveBack(_ memory: UnsafeMutableRawPointer, bytes size: Int) {
    let address = UInt(bitPattern: memory)
    let limit = size >= keepable ? TensorMemory.kept : 0
    let isKept =
      size >= keepable
      && kept.withLock { kept in
        guard kept.bytes + size <= limit else { return false }
        kept.blocks[size, default: []].append(address)
        kept.bytes += size
        return true
      }
    if !isKept { free(memory) }
  }
}
