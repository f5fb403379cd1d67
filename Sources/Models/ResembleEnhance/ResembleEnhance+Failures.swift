import Base

extension Failure {
  static func configuration(_ file: String, _ problem: String, _ remedy: String) -> Failure {
    Failure(.configuration, subject: file, problem: problem, remedy: remedy)
  }

  /// A state dictionary that is not the model's.
  static func otherState(_ file: String, _ problem: String) -> Failure {
    .configuration(
      file, problem, "give a checkpoint of Resemble-Enhance, and the hparams.yaml of its run")
  }

  static func hyperParameters(_ file: String, _ problem: String) -> Failure {
    .configuration(file, problem, "give the hparams.yaml of the checkpoint's run")
  }
}
