import Base
import Foundation
public import Records
import Safetensors

/// A sound that detectors take for speech: bursts of harmonics with pauses between them, over a faint
/// noise. The same seed gives the same samples.
public func speechLike(seconds: Double, rate: Int, seed: UInt64 = 1) -> [Float] {
  let count = Int(seconds * Double(rate))
  var random = RandomNumbers(seed: seed)
  let noise = random.normal(count)
  let pitch = 90 + 120 * Double(random.uniform())
  return (0..<count).map { index in
    let time = Double(index) / Double(rate)
    // Syllables of 0.2 s in words of 0.8 s, with 0.3 s of silence after each and before the first.
    let inWord = (time + 0.8).truncatingRemainder(dividingBy: 1.1)
    let envelope = inWord < 0.8 ? pow(sin(.pi * inWord / 0.2), 2) : 0
    let voice = (1...8).reduce(0.0) { $0 + sin(2 * .pi * pitch * Double($1) * time) / Double($1) }
    return Float(0.15 * envelope * voice) + 0.0005 * noise[index]
  }
}

/// A record with audio and text.
public func makeRecord(
  id: String, seconds: Double = 2, rate: Int = 24000, text: String? = "Hello there.",
  speaker: String? = nil, channels: Int = 1
) -> Record {
  var record = Record(id: id)
  let seed = SHA256Digest(of: id.utf8).bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  record.setAudio(
    (0..<channels).map { speechLike(seconds: seconds, rate: rate, seed: seed &+ UInt64($0)) },
    rate: rate)
  record.text = text
  record.speaker = speaker
  return record
}

/// A small record without audio.
public func makeTextRecord(id: String, text: String = "Hello there.") -> Record {
  var record = Record(id: id)
  record.text = text
  return record
}

/// The parts of a long recording of one id.
public func makeParts(id: String, parts: Int, secondsEach: Double = 1, rate: Int = 24000)
  -> [Record]
{
  (0..<parts).map { part in
    var record = makeRecord(
      id: id, seconds: secondsEach, rate: rate, text: part == 0 ? "Long." : nil)
    record.part = part
    if part == parts - 1 { record.isLastPart = true }
    return record
  }
}

/// A stream as a file, whole.
public func writeStream(
  _ records: some Sequence<Record>, to path: String, header: StreamHeader = StreamHeader()
) throws {
  let writer = try RecordWriter(file: AtomicFile(path: path), header: header)
  for record in records { try writer.write(record) }
  try writer.finish()
}

/// A stream that its maker gave up.
public func writeAbortedStream(
  _ records: [Record], to path: String, stage: String = "tts-made-up", code: Int32 = 65,
  message: String = "it went wrong"
) throws {
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o666)
  guard descriptor >= 0 else {
    throw Failure.systemCall("create", path, writing: true, code: errno)
  }
  defer { close(descriptor) }
  let writer = try RecordWriter(descriptor: descriptor, header: StreamHeader())
  for record in records { try writer.write(record) }
  try writer.abort(Abort(stage: stage, code: code, message: message))
}

/// All records of a stream in a file.
public func readStream(_ path: String) throws -> [Record] {
  let reader = try RecordReader(path: path)
  var records: [Record] = []
  while let record = try reader.next() { records.append(record) }
  return records
}

/// All records of a stream in memory.
public func readStream(_ bytes: [UInt8]) throws -> [Record] {
  let folder = try ScratchFolder()
  return try readStream(folder.write(bytes, to: "stream.ttsr"))
}
