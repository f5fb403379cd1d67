import Base

extension Failure {
  static func missingTensor(_ name: String, in file: String) -> Failure {
    Failure(
      .configuration, subject: file, problem: "tensor '\(name)' is missing",
      remedy: "check that the configuration belongs to these weights")
  }

  static func misshapenTensor(
    _ name: String, in file: String, expected: [Int], found: [Int]
  ) -> Failure {
    Failure(
      .configuration, subject: file,
      problem: "tensor '\(name)' has shape \(found), expected \(expected)",
      remedy: "check that the configuration belongs to these weights")
  }

  static func unusedTensors(_ name: String, _ count: Int, in file: String) -> Failure {
    Failure(
      .configuration, subject: file,
      problem: count == 1
        ? "tensor '\(name)' belongs to nothing in the configuration"
        : "tensor '\(name)' and \(count - 1) others belong to nothing in the configuration",
      remedy: "check that the configuration belongs to these weights")
  }

  static func misfittingUpdate(_ name: String, in subject: String, shape: [Int]) -> Failure {
    Failure(
      .configuration, subject: subject,
      problem: "the low-rank update of '\(name)' does not fit a matrix of \(shape)",
      remedy: "use the adapter with the model that it was made for")
  }
}
