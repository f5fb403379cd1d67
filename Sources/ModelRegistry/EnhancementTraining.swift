public import ModelInterface
import ResembleEnhance
public import Training

extension ModelRegistry {
  /// What `tts-enhance train` teaches.
  ///
  /// - Parameter warn: gets lines about what is left out.
  /// - Throws: `configuration`, `noInput`, `badInput`, `usage` where the task does not suit.
  public static func lesson(
    _ task: EnhancementTask, warn: @escaping @Sendable (String) -> Void
  ) throws -> any Lesson {
    try ResembleEnhance.lesson(task, warn: warn)
  }
}
