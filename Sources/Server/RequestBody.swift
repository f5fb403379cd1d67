import Base
import FlyingFox
import FlyingSocks
import Foundation

/// What came of reading a request's body.
enum RequestBody: Sendable {
  case bytes([UInt8])
  /// More than is taken; whether all of it was read and thrown away, so that the connection can go on.
  case tooLarge(isRead: Bool)
  /// It did not arrive in time, or not whole.
  case missing

  /// Time for a body to arrive.
  private static let patience = Duration.seconds(120)

  /// Reads a body of at most `limit` bytes. Of a larger one some megabytes are read and thrown away: a
  /// client that is still sending would not look at the answer.
  static func read(_ request: HTTPRequest, limit: Int) async -> RequestBody {
    let body = request.bodySequence
    let largestWaste = 4 * limit + (1 << 20)
    if let count = body.count, count > largestWaste { return .tooLarge(isRead: false) }
    return await withTaskGroup(of: RequestBody.self) { group in
      group.addTask {
        var bytes: [UInt8] = []
        var count = 0
        do {
          for try await piece in body {
            count += piece.count
            guard count <= largestWaste else { return .tooLarge(isRead: false) }
            if count <= limit { bytes += piece } else { bytes = [] }
          }
        } catch {
          return .missing
        }
        return count <= limit ? .bytes(bytes) : .tooLarge(isRead: true)
      }
      group.addTask {
        try? await Task.sleep(for: patience)
        return .missing
      }
      defer { group.cancelAll() }
      return await group.next() ?? .missing
    }
  }
}

/// A body after which the connection ends: for a request that was not read to its end, behind which
/// nothing can be understood.
struct ClosingBody: AsyncBufferedSequence {
  typealias Element = UInt8

  let bytes: Data

  func makeAsyncIterator() -> Iterator { Iterator(bytes: bytes) }

  struct Iterator: AsyncBufferedIteratorProtocol {
    fileprivate var bytes: Data?

    func next() async throws -> UInt8? {
      // The server asks for buffers only.
      throw Abandoned()
    }

    mutating func nextBuffer(suggested count: Int) async throws -> Data? {
      guard let bytes = bytes.take() else { throw Abandoned() }
      return bytes
    }
  }
}
