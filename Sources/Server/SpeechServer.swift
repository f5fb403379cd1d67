import Base
import FlyingFox
import FlyingSocks
import Foundation

/// Where a server listens, and what it takes.
public struct ServerSettings: Sendable {
  /// An address of this machine.
  public var host: String
  /// The port; 0 for any that is free.
  public var port: UInt16
  /// Requests that may wait behind those that are being worked on.
  public var queue: Int
  /// Requests that are worked on at a time.
  public var jobs: Int
  /// The most characters of a text.
  public var longestText: Int
  /// The most bytes of a request.
  public var largestBody: Int

  /// Settings with all their parts.
  public init(
    host: String, port: UInt16, queue: Int, jobs: Int, longestText: Int, largestBody: Int
  ) {
    self.host = host
    self.port = port
    self.queue = queue
    self.jobs = jobs
    self.longestText = longestText
    self.largestBody = largestBody
  }
}

/// Speech over HTTP.
public final class SpeechServer: Sendable {
  private enum Phase: Sendable {
    case starting
    case listening(port: UInt16)
    case ended(reason: String)
  }

  private let settings: ServerSettings
  private let queue: SpeechQueue
  private let server: HTTPServer
  private let phase = Monitor(Phase.starting)

  /// A server that does not listen yet; its threads wait for work.
  ///
  /// - Throws: `usage` when the host is no address.
  public init(_ speech: SpeechSource, _ settings: ServerSettings) throws {
    self.settings = settings
    let metrics = Metrics()
    queue = SpeechQueue(
      speech, limit: settings.queue, workers: settings.jobs, metrics: metrics)
    let router = Router(
      queue: queue, metrics: metrics, settings: settings, voiceNames: speech.names,
      sampleRate: speech.sampleRate)
    server = HTTPServer(config: try Self.configuration(settings), handler: router)
  }

  private static func configuration(
    _ settings: ServerSettings
  ) throws -> HTTPServer.Configuration {
    // The time limit covers the wait in the queue; reading has one of its own.
    func configuration(_ address: some SocketAddress) -> HTTPServer.Configuration {
      HTTPServer.Configuration(address: address, timeout: 86_400, logger: .disabled)
    }
    let host = settings.host == "localhost" ? "127.0.0.1" : settings.host
    if let address = try? sockaddr_in.inet(ip4: host, port: settings.port) {
      return configuration(address)
    }
    if let address = try? sockaddr_in6.inet6(ip6: host, port: settings.port) {
      return configuration(address)
    }
    throw Failure(
      .usage, subject: "--host", problem: "'\(settings.host)' is not an address",
      remedy: "give an address of this machine, such as 127.0.0.1 or 0.0.0.0")
  }

  /// Begins to listen.
  ///
  /// - Returns: the address for a browser.
  /// - Throws: `unavailable` when the port cannot be had.
  public func start() throws -> String {
    Task.detached { [self] in
      var reason = "the server ended"
      do { try await server.run() } catch SocketError.failed(_, _, let message) {
        reason = message
      } catch {
        reason = "\(error)"
      }
      phase.withLock { [reason] phase in phase = .ended(reason: reason) }
    }
    Task.detached { [self] in
      while true {
        if let address = await server.listeningAddress {
          var port: UInt16 = 0
          if case .ip4(_, let number) = address { port = number }
          if case .ip6(_, let number) = address { port = number }
          return phase.withLock { [port] phase in
            if case .starting = phase { phase = .listening(port: port) }
          }
        }
        let hasEnded = phase.withLock { phase in
          if case .ended = phase { true } else { false }
        }
        if hasEnded { return }
        try? await Task.sleep(for: .milliseconds(2))
      }
    }
    let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
    return try phase.wait { phase in
      switch phase {
      case .starting: nil
      case .listening(let port): "http://\(host):\(port)"
      case .ended(let reason):
        throw Failure.cannotListen("\(host):\(settings.port)", reason)
      }
    }
  }

  /// Ends all requests and stops listening; returns when that is done, or after a second.
  public func stop() {
    queue.stop()
    let isDone = Monitor(false)
    Task.detached { [server] in
      await server.stop(timeout: 1)
      isDone.withLock { $0 = true }
    }
    _ = isDone.wait { $0 ? true : nil }
  }
}
