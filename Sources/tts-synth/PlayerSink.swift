import Audio
import Base
import Filters
import Records

/// Plays the samples of all utterances, one after another, as they are made.
final class PlayerSink: SpeechSink {
  private let player: AudioPlayer
  private var process: PlayerProcess?

  /// Finds a player.
  ///
  /// - Throws: `unavailable` when there is none.
  init() throws { player = try AudioPlayer.installed() }

  func begin(rate: Int) throws {
    let process = try PlayerProcess(player, rate: rate)
    self.process = process
    if player.wantsHeader { try process.write(WAVWriter.header(rate: rate)) }
  }

  func write(_ samples: [Float]) throws {
    try process?.write(int16TowardZero(samples).withUnsafeBytes { Array($0) })
  }

  func finish() throws { try process?.finish() }
  func relay(from input: RecordInput) {}
  func abort(_ error: any Error) { process?.stop() }

  func follow(_ header: StreamHeader) {}
  func open(_ record: Record) {}
  func close() {}
  func pass(_ record: Record) {}
  func reject(_ record: Record, _ reason: String) {}
  func add(from digest: SHA256Digest) {}
}
