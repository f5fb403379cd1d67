import Base

extension Failure {
  static func notAudio(_ path: String, reason: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "not an audio file (\(reason))",
      remedy: "give a WAV, FLAC, Ogg, Opus or MP3 file")
  }

  static func emptyFile(_ path: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "the file holds no bytes",
      remedy: "record or copy it again")
  }

  static func audioCutShort(_ path: String, detail: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "the audio is cut short (\(detail))",
      remedy: "copy the file again")
  }

  static func damagedAudio(_ path: String, frame: Int, reason: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "the audio is damaged at sample \(frame) (\(reason))",
      remedy: "copy the file again")
  }

  static func sampleNotFinite(_ path: String, frame: Int) -> Failure {
    Failure(
      .badInput, subject: path, problem: "sample \(frame) is not a finite number",
      remedy: "export the file again")
  }

  static func rateOutOfRange(_ rate: Int) -> Failure {
    Failure(
      .badInput,
      problem: "a sample rate of \(rate) Hz is outside \(sampleRates.lowerBound) to "
        + "\(sampleRates.upperBound) Hz",
      remedy: "correct the sample rate")
  }

  static func cannotEncode(_ subject: String, reason: String) -> Failure {
    Failure(
      .badInput, subject: subject, problem: "the audio cannot be encoded (\(reason))",
      remedy: "choose another codec")
  }

  static func ratioOutOfRange(from: Int, to: Int) -> Failure {
    Failure(
      .badInput, problem: "cannot resample \(from) Hz to \(to) Hz: the rates differ too much",
      remedy: "resample in two steps")
  }

  static func sampleRateConverter(reason: String, code: Kind) -> Failure {
    Failure(code, problem: "the sample rate converter failed (\(reason))", remedy: "run again")
  }
}
