import ArgumentParser
import Base
import Filters
import Foundation
import SpeechTraining

/// Reads a recipe.
func readRecipe(_ path: String) throws -> Recipe {
  guard let data = FileManager.default.contents(atPath: path) else {
    throw Failure.systemCall("read", path, code: errno)
  }
  return try Recipe(yaml: String(decoding: data, as: UTF8.self), file: path)
}

extension Train {
  /// Options that replace those of a recipe rather than join or follow them.
  private static let replacing = ["--train", "--valid"]

  /// Puts the options of a recipe before those of the command line, of which the last counts.
  static func expand(_ arguments: [String]) throws -> [String] {
    guard let path = value(of: "--recipe", in: arguments) else { return arguments }
    var words = try readRecipe(path).arguments()
    for name in replacing
    where arguments.contains(where: { $0 == name || $0.hasPrefix(name + "=") }) {
      while let place = words.firstIndex(of: name) { words.removeSubrange(place...place + 1) }
    }
    return words + arguments
  }

  private static func value(of name: String, in arguments: [String]) -> String? {
    for (place, word) in arguments.enumerated() {
      if word.hasPrefix(name + "=") { return String(word.dropFirst(name.count + 1)) }
      if word == name, place + 1 < arguments.count { return arguments[place + 1] }
    }
    return nil
  }
}

/// `tts-train recipe`: what a recipe amounts to.
struct RecipeCommand: Tool {
  static let tool = ToolDescription(
    name: "tts-train recipe", abstract: "Print the command line that a recipe stands for.",
    examples: ["tts-train recipe finetune.yaml"],
    discussion: """
      Recipes are YAML files in the schema of the official trainer, so that its configurations run as \
      they are. Shards are looked for by the name of the manifest: data/train.jsonl stands for \
      data/train.ttsr or data/train-*.ttsr. Options of tts-train may stand under the key 'ttstools'.
      """)

  @Argument(
    help: ArgumentHelp("The recipe.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var file: String
  @OptionGroup var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    let words = try readRecipe(file).arguments()
    let output = try ByteOutput(path: nil)
    var lines = ["tts-train"]
    for word in words {
      if word.hasPrefix("--") {
        lines.append("  " + word)
      } else {
        lines[lines.count - 1] += " " + Self.quoted(word)
      }
    }
    try output.write(lines.joined(separator: " \\\n") + "\n")
    try output.finish()
  }

  /// A word as a shell reads it.
  private static func quoted(_ word: String) -> String {
    let isPlain = word.utf8.allSatisfy { byte in
      let scalar = Unicode.Scalar(byte)
      return byte < 128
        && (scalar.properties.isAlphabetic || (48...57).contains(byte)
          || "_-./=:,@%+".unicodeScalars.contains(scalar))
    }
    return isPlain && !word.isEmpty ? word : "'" + word.replacing("'", with: "'\\''") + "'"
  }
}
