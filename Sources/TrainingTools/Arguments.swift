public import ArgumentParser
public import ModelInterface

extension TrainingTask.Override: ExpressibleByArgument {
  /// Reads `key=value`.
  public init?(argument: String) { self.init(argument) }
}
