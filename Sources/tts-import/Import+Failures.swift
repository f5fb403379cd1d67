import Base

extension Failure {
  static func unusable(_ path: String, _ problem: String) -> Failure {
    Failure(.badInput, subject: path, problem: problem, remedy: "mend the dataset")
  }

  static func emptyAudio(_ path: String) -> Failure {
    Failure(.badInput, subject: path, problem: "audio is empty", remedy: "remove the file")
  }

  static func outsideRecording(_ path: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "the utterance starts after the end of the recording",
      remedy: "correct its start in the manifest")
  }

  static func folderAsManifest(_ path: String) -> Failure {
    Failure(
      .noInput, subject: path, problem: "is a folder, not a manifest",
      remedy: "name the manifest file, or choose another --format")
  }

  static func notLJSpeech(_ path: String) -> Failure {
    Failure(
      .noInput, subject: path, problem: "there is no metadata.csv",
      remedy: "name the folder that holds metadata.csv and wavs, or choose another --format")
  }
}
