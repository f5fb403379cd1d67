import Base
import Foundation
import TestSupport
import Testing

/// How far a whole training goes the same way in bfloat16, on speech.
@Suite(.enabled(if: runsSlowTests && isBuilt("tts-train"))) struct TrainPrecisionTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd_train")
  private static let speaks = (try? runShell("command -v flite").code) == 0

  init() throws { folder = try ScratchFolder() }

  /// Sentences of the demo, spoken by two voices, as shards.
  private func prepare() throws {
    let result = try runShell(
      """
      set -e
      head -n 120 '\(packageFolder)/pipelines/demo-sentences.txt' > sentences.txt
      '\(packageFolder)/pipelines/speak' flite sentences.txt corpus kal slt > /dev/null
      tts-import -q --format list corpus/metadata.csv -o 1.ttsr
      tts-resample -q --rate 24000 1.ttsr | tts-vad -q | tts-tokenize -q --model '\(model)' |
        tts-mimi-encode -q --model '\(model)' -o 2.ttsr
      tts-shard -q --shuffle 1 --split train=0.8,valid=0.2 2.ttsr -o '{split}-%d.ttsr'
      """, directory: folder.path)
    #expect(result.code == 0, "\(result.errors)")
  }

  /// The flow loss on held-out speech at each validation, and in training the mean of each 50 steps.
  private func losses(_ precision: String) throws -> (valid: [Double], train: [Double]) {
    let result = try runTool(
      "tts-train",
      [
        "-q", "--model", model, "--train", "train-*.ttsr", "--valid", "valid-*.ttsr", "--run",
        precision, "--precision", precision, "--fresh", "--statistics", "data", "--steps", "300",
        "--valid-every", "50", "--batch", "8", "--lr", "2e-3", "--warmup", "20", "--ema-decay", "0",
        "--multiplier", "2", "--seed", "3", "-T", "2",
      ], directory: folder.path, timeLimit: 900)
    #expect(result.code == 0, "\(result.errors)")
    var losses: (valid: [Double], train: [Double]) = ([], [])
    for line in try folder.read(precision + "/progress.jsonl").split(separator: 10) {
      let json = try JSON.parse(Array(line))
      guard let loss = json["metrics"]?["flow_diag"]?.double else { continue }
      if json["type"]?.string == "valid" {
        losses.valid.append(loss)
      } else {
        losses.train.append(loss)
      }
    }
    #expect(losses.valid.count == 7 && losses.train.count == 300)
    losses.train = stride(from: 0, to: losses.train.count, by: 50).map { first in
      losses.train[first..<min(first + 50, losses.train.count)].reduce(0, +) / 50
    }
    return losses
  }

  @Test(.enabled(if: speaks)) func bfloat16LearnsAsFloat32Does() throws {
    try prepare()
    let (whole, half) = (try losses("f32"), try losses("bf16"))
    #expect(whole.valid != half.valid)
    let (first, last) = (try #require(whole.valid.first), try #require(whole.valid.last))
    #expect(last < 0.9 * first, "\(whole.valid)")
    var furthest = 0.0
    for (one, other) in zip(whole.valid + whole.train, half.valid + half.train) {
      furthest = max(furthest, abs(other - one) / one)
    }
    print("flow_diag \(first) to \(last); bfloat16 at most \(100 * furthest) % from it")
    #expect(furthest < 0.02, "\(whole) \(half)")
  }
}
