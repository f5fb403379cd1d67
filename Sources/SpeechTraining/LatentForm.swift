public import Base
import Records
import Safetensors
import Tensors

/// What the latents of a codec are like: how they are recognised, and read from records.
public struct LatentForm: Sendable {
  /// Channels.
  public var width: Int
  /// Frames a second.
  public var frameRate: Double
  /// The digest of the encoder that makes them.
  public var codecDigest: SHA256Digest

  /// The latents of a codec.
  public init(width: Int, frameRate: Double, codecDigest: SHA256Digest) {
    self.width = width
    self.frameRate = frameRate
    self.codecDigest = codecDigest
  }

  /// Refuses latents of another codec, where the stream says so.
  func check(_ header: StreamHeader, file: String) throws {
    guard header.agrees(on: codecDigest, of: "tts-mimi-encode") else {
      throw Failure.otherModel("latents", tool: "tts-mimi-encode", file: file)
    }
  }

  /// The latents of an utterance, `[frames, width]`.
  ///
  /// - Parameter parts: all its records, in order.
  /// - Throws: `LeftOut` where it is rejected or empty, `Failure` where its latents are other ones or no
  ///   numbers.
  func latents(of parts: [Record], file: String) throws -> Tensor {
    guard !parts.contains(where: \.isRejected) else { throw LeftOut.rejected }
    var values: [Float] = []
    for part in parts {
      guard let array = part.arrays["latents"] else {
        throw Failure.missing("latents", of: part.id, file: file, tool: "tts-mimi-encode")
      }
      guard array.shape.count == 2, array.shape[1] == width else {
        throw Failure.latentShape(array.shape, width: width, record: part.id, file: file)
      }
      if let rate = part.frameRate, abs(rate - frameRate) > 1e-6 {
        throw Failure.frameRate(rate, expected: frameRate, record: part.id, file: file)
      }
      values += try array.floats()
    }
    let frames = values.count / max(1, width)
    guard frames > 0 else { throw LeftOut.noSound }
    let latents = Tensor(values, shape: [frames, width])
    guard latents.squaredNorm.isFinite else {
      throw Failure.nonFiniteLatents(record: parts.first?.id ?? "", file: file)
    }
    return latents
  }
}

extension StreamHeader {
  /// Whether the last stages of a tool worked with a model, as far as they name one.
  func agrees(on model: SHA256Digest, of tool: String) -> Bool {
    latest(of: tool).allSatisfy {
      $0.models.isEmpty || $0.models.values.contains(model.description)
    }
  }
}

/// Collects the parts of utterances.
struct PartCollector {
  private var open: [Record] = []

  /// Adds the next record of a file; all parts of its utterance where it is the last of them.
  ///
  /// - Throws: `badInput` where parts are missing or out of order.
  mutating func add(_ record: Record, file: String) throws -> [Record]? {
    guard record.part ?? 0 == open.count, open.isEmpty || open[0].id == record.id else {
      throw Failure.scatteredParts(record: record.id, file: file)
    }
    open.append(record)
    guard record.isLastPart else { return nil }
    defer { open = [] }
    return open
  }

  /// Refuses a file that ends within an utterance.
  func finish(file: String) throws {
    if let first = open.first { throw Failure.scatteredParts(record: first.id, file: file) }
  }
}
