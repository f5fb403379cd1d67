import Foundation

/// The rules of generation that are arithmetic alone.
enum Policy {
  /// The limit of frames for a piece of text: ceil((tokens / 3 + 2) · frame rate).
  static func frameLimit(tokens: Int, frameRate: Double) -> Int {
    Int((((Double(tokens) / 3) + 2) * frameRate).rounded(.up))
  }

  /// Frames that follow the end of speech: the caller's, else the model's, else the guess made from
  /// the number of words, plus 2.
  static func framesAfterEnd(requested: Int?, recommended: Int?, guess: Int) -> Int {
    requested ?? recommended ?? guess + 2
  }

  /// The first frame at which the end of speech may be noticed.
  static let firstEndFrame = 6

  /// The ramp over the first samples of each piece of text: 5 ms.
  static func fadeIn(_ samples: inout [Float], from position: Int, sampleRate: Int) {
    let length = sampleRate / 200
    for index in samples.indices where position + index < length {
      samples[index] *= Float(position + index) / Float(length - 1)
    }
  }
}
