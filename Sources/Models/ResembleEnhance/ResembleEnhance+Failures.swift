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

  /// A form in which weights are not written.
  static let otherForm = Failure(
    .usage, problem: "weights of Resemble-Enhance are written as they are",
    remedy: "leave out --precision, --name and --raw")

  /// A configuration that is not the model's.
  static func otherConfiguration(_ file: String) -> Failure {
    .configuration(
      file, "it does not describe a model of Resemble-Enhance", "convert the checkpoint again")
  }

  static func hyperParameters(_ file: String, _ problem: String) -> Failure {
    .configuration(file, problem, "give the hparams.yaml of the checkpoint's run")
  }

  static func denoiserAlone(_ model: String) -> Failure {
    .configuration(
      model, "it is a denoiser alone, which cannot enhance", "use --mode denoise")
  }
}
