import Base
import Foundation
import TestSupport
import Testing

@Suite(.enabled(if: isBuilt("tts-train"))) struct TrainReportTests {
  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  /// A run that learns something else: two groups of parameters, recordings as samples.
  @Test func anyRunIsDrawnOnAPage() throws {
    func log(_ lines: [String]) -> String { lines.map { $0 + "\n" }.joined() }
    try folder.write(
      #"{"format":"ttstools run","options":{"critic-begins":"5"}}"#, to: "other/run.json")
    func sample(_ step: Int, _ form: String) -> String {
      #"{"file":"step0000000\#(step)-1-\#(form).wav","recording":"a<b","form":"\#(form)"}"#
    }
    try folder.write(
      log([
        #"{"type":"valid","step":0,"metrics":{"loss":2,"denoiser/l1":1.5}}"#,
        #"{"type":"samples","step":0,"samples":[\#(sample(0, "input")),\#(sample(0, "prediction"))]}"#,
        #"{"type":"train","step":1,"lr":0.1,"grad_norm":1,"lr_critic":0.2,"grad_norm_critic":3,"#
          + #""seconds":1,"metrics":{"loss":1,"lcfm/ae/mse":0.5,"mpd":0.25}}"#,
        #"{"type":"train","step":2,"lr":0.1,"grad_norm":1,"seconds":1,"metrics":{"loss":1}}"#,
        #"{"type":"samples","step":2,"samples":[\#(sample(2, "prediction"))]}"#,
      ]), to: "other/progress.jsonl")
    for name in ["step00000000-1-input", "step00000000-1-prediction", "step00000002-1-prediction"] {
      try folder.write(
        [UInt8](repeating: UInt8(name.count), count: 300_000), to: "other/samples/\(name).wav")
    }
    func page(_ more: [String] = []) throws -> String {
      let result = try runTool("tts-train", ["report", "other"] + more, directory: folder.path)
      #expect(result.code == 0, "\(result.errors)")
      return result.text
    }
    let whole = try page()
    for name in ["loss", "denoiser/l1", "lcfm/ae/mse", "mpd", "lr_critic", "grad_norm_critic"] {
      #expect(whole.contains("<figcaption>\(name)</figcaption>"), "\(name)")
    }
    #expect(whole.contains("a&lt;b, input") && whole.contains("a&lt;b, prediction"))
    #expect(whole.components(separatedBy: "<audio").count == 4)
    // Where there is no room for all, the latest prediction is heard, and what went into it.
    let short = try page(["--audio-limit", "1"])
    #expect(short.contains("a&lt;b, input") && short.contains("step 2"))
    #expect(short.components(separatedBy: "<audio").count == 3)
  }
}
