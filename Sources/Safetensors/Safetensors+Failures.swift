import Base

extension Failure {
  static func arraySize(type: ElementType, shape: [Int], bytes: Int) -> Failure {
    Failure(
      .badInput,
      problem: "an array of type \(type.rawValue) and shape \(shape) does not take \(bytes) bytes",
      remedy: "make it again")
  }

  static func elementType(_ type: ElementType, wanted: String) -> Failure {
    Failure(
      .badInput, problem: "elements of type \(type.rawValue) where \(wanted) ones are expected",
      remedy: "convert it")
  }

  /// A file or blob that is not valid safetensors.
  static func safetensors(_ problem: String, path: String? = nil) -> Failure {
    Failure(
      .badInput, subject: path, problem: "not a valid safetensors file: \(problem)",
      remedy: "fetch or make it again")
  }

  static func blob(_ problem: String) -> Failure {
    Failure(.badInput, problem: "not a canonical safetensors blob: \(problem)")
  }

  static func missingArray(_ name: String, path: String) -> Failure {
    Failure(
      .configuration, subject: path, problem: "there is no tensor '\(name)'",
      remedy: "check that the file belongs to this model")
  }
}
