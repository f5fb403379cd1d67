import Base
import Foundation
import TestSupport
import Testing

/// The recipes that come with the tools.
@Suite(.enabled(if: isBuilt("tts-train"))) struct RecipeFileTests {
  static let recipes =
    (try? FileManager.default.contentsOfDirectory(atPath: packageFolder + "/recipes"))?.sorted()
    ?? []

  private let model = fixture("PocketTTS/lsd_train")

  /// What a recipe needs so that a model of two narrow layers takes it; all else is the recipe's.
  private func sizes(_ recipe: String) -> [String] {
    func set(_ key: String, _ value: Any) -> [String] { ["--set", "flow_lm.\(key)=\(value)"] }
    let depth = set("transformer.num_layers", 1)
    return switch recipe {
    case "scratch.yaml", "drifting.yaml": depth
    case "depth_distill.yaml": depth + ["--teacher", model]
    case "small_student.yaml":
      depth + set("transformer.d_model", 16) + set("lookup_table.dim", 16)
        + set("transformer.num_heads", 2) + set("z_dim", 32) + ["--teacher", model]
    case "finetune_language.yaml":
      set("lookup_table.tokenizer_path", model + "/tokenizer.model")
        + set("lookup_table.n_bins", 400)
    case "last_layers.yaml": ["--tune", "last:1"]
    default: []
    }
  }

  @Test func thereAreRecipes() {
    #expect(Self.recipes.count == 12)
    #expect(Self.recipes.allSatisfy { $0.hasSuffix(".yaml") })
  }

  @Test(arguments: recipes) func aRecipeRuns(_ recipe: String) throws {
    let folder = try ScratchFolder()
    try writeTrainingShard(folder.file("train.ttsr"), 0..<8)
    let path = "\(packageFolder)/recipes/\(recipe)"
    let result = try runTool(
      "tts-train",
      [
        "--recipe", path, "--model", model, "--train", "train.ttsr", "--valid", "train.ttsr",
        "--run", "run", "--batch", "2", "--accumulate", "1", "--prompts", "auto", "--dry-run", "-T",
        "1", "--report", "report.json",
      ] + sizes(recipe), directory: folder.path)
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.text.contains("parameters that train"))
    let report = try JSON.parse(folder.read("report.json"))
    let trained = try #require(report["counts"]?["trained_parameters"]?.integer)
    #expect(result.text.contains(String(trained)))
    // What it stands for names its data, its model and its run.
    let shown = try runTool("tts-train", ["recipe", path])
    #expect(shown.code == 0, "\(shown.errors)")
    for option in ["--model ", "--train ", "--valid ", "--run runs/", "--steps "] {
      #expect(shown.text.contains("\n  \(option)"), "\(option)")
    }
  }
}
