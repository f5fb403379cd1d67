import Base
import ModelInterface
import Yams

extension Configuration {
  /// The configuration with some keys set.
  ///
  /// - Throws: `configuration` for a section that is not there, a key that is unknown, or what does
  ///   not fit together.
  func setting(_ overrides: [TrainingTask.Override], file: String) throws -> Configuration {
    guard !overrides.isEmpty else { return self }
    guard var root = try? Yams.compose(yaml: yaml) else { return self }
    for override in overrides {
      guard let value = try? Yams.compose(yaml: override.value.isEmpty ? "''" : override.value)
      else {
        throw Failure.configuration(
          file, "'\(override.key)': '\(override.value)' is not YAML", "mend the value")
      }
      let keys = override.key.split(separator: ".", omittingEmptySubsequences: false)
        .map(String.init)
      guard root.set(value, at: keys[...]) else {
        throw Failure.configuration(
          file, "there is no section for '\(override.key)'",
          "name a key such as flow_lm.transformer.num_layers")
      }
    }
    let text: String
    do { text = try Yams.serialize(node: root) } catch {
      throw Failure.configuration(file, "an override is not YAML", "mend the value")
    }
    return try Configuration(yaml: text, file: file)
  }
}

extension Node {
  /// Sets a value under existing sections; false where one is missing.
  fileprivate mutating func set(_ value: Node, at keys: ArraySlice<String>) -> Bool {
    guard let key = keys.first, var mapping else { return false }
    if keys.count == 1 {
      mapping[Node(key)] = value
    } else {
      guard var section = mapping[Node(key)], section.set(value, at: keys.dropFirst()) else {
        return false
      }
      mapping[Node(key)] = section
    }
    self = .mapping(mapping)
    return true
  }
}
