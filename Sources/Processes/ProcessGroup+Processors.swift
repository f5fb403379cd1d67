import Base
import Glibc

extension ProcessGroup {
  /// How many threads this process should compute with: the processors that it may use, divided among
  /// the processes of the group that may use the very same.
  ///
  /// - Returns: with `isBound`, that the launcher bound processes to processors of their own and left
  ///   others idle.
  public func shareOfProcessors() throws -> (threads: Int, isBound: Bool) {
    let host = Self.hostName
    let own = host + " " + ThreadBudget.allowedProcessors
    let all = try gather(Array(own.utf8)).map { String(decoding: $0, as: UTF8.self) }
    let sharing = all.filter { $0 == own }.count
    let threads = max(1, ThreadBudget.processorCount / sharing)
    let here = all.filter { $0.hasPrefix(host + " ") }.count
    return (threads, sharing < here && threads * here < sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  }

  private static var hostName: String {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
