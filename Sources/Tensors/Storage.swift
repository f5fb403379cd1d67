import CKernels
import Glibc

/// Memory for floats: aligned to a cache line, freed with its last user, or borrowed from an owner
/// (a mapped file).
final class Storage: @unchecked Sendable {
  let floats: UnsafeMutablePointer<Float>
  let count: Int
  private let owner: AnyObject?

  /// Blocks above this size go back to the system when freed; smaller ones are kept for reuse,
  /// because fresh pages cost more than the arithmetic on them.
  private static let allocatorIsTuned: Bool = {
    ck_tune_allocator()
    return true
  }()

  /// Uninitialised memory.
  init(count: Int) {
    precondition(Self.allocatorIsTuned)
    var memory: UnsafeMutableRawPointer?
    let status = posix_memalign(&memory, 64, max(1, count) * MemoryLayout<Float>.stride)
    guard status == 0, let memory else {
      preconditionFailure("out of memory: \(count) floats")
    }
    floats = memory.bindMemory(to: Float.self, capacity: max(1, count))
    self.count = count
    owner = nil
  }

  /// Memory of somebody else, never written.
  init(borrowing floats: UnsafePointer<Float>, count: Int, owner: AnyObject) {
    self.floats = UnsafeMutablePointer(mutating: floats)
    self.count = count
    self.owner = owner
  }

  deinit {
    if owner == nil { free(floats) }
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
