import Records
import Safetensors
import TestSupport
import Testing

@Suite struct EncodeTests {
  let folder: ScratchFolder
  init() throws { folder = try ScratchFolder() }

  private let model = fixture("PocketTTS/lsd")

  private func run(_ records: [Record], _ arguments: [String] = []) throws -> [Record] {
    try writeStream(records, to: folder.file("in.ttsr"))
    let result = try runTool(
      "tts-mimi-encode", ["--model", model, folder.file("in.ttsr")] + arguments)
    #expect(result.code == 0, "\(result.errors)")
    return try readStream(result.output)
  }

  @Test func latentsMayBeHalves() throws {
    let sound = [makeRecord(id: "a", seconds: 1.3)]
    let whole = try #require(try run(sound)[0].arrays["latents"])
    let halves = try run(sound, ["--latents", "f16"])
    let stored = try #require(halves[0].arrays["latents"])
    #expect(stored.type == .f16)
    #expect(stored.shape == whole.shape && stored.shape[1] == 32)
    assertClose(try stored.floats(), try whole.floats(), tolerance: 1e-3)
    let heard = try run(halves, ["--decode"])
    #expect(try heard[0].audio()[0].count == stored.shape[0] * 1920)
  }

  @Test(arguments: ["bf16", "int8"]) func precisionIsReducedAndStated(_ precision: String) throws {
    let sound = [makeRecord(id: "a", seconds: 1.3)]
    let whole = try #require(try run(sound)[0].arrays["latents"]).floats()
    let reduced = try #require(
      try run(sound, ["--precision", precision])[0].arrays["latents"]
    ).floats()
    assertClose(reduced, whole, tolerance: 0.05)
    if precision == "int8" { #expect(reduced != whole) }
    func stage(_ arguments: [String]) throws -> [UInt8] {
      try runTool("tts-mimi-encode", ["--model", model, "--stage-id"] + arguments).output
    }
    #expect(try stage(["--precision", precision]) != stage([]))
  }

  /// However a recording is cut, and on however many threads: the same bytes.
  @Test func cuttingAndThreadsChangeNothing() throws {
    let whole = makeRecord(id: "a", seconds: 4.1)
    let samples = try whole.audio()[0]
    let cuts = [0, 10, 30_001, 50_000, samples.count]
    let parts = zip(cuts, cuts.dropFirst()).enumerated().map { index, cut in
      var record = Record(id: "a")
      record.setAudio([Array(samples[cut.0..<cut.1])], rate: 24000)
      record.part = index
      record.isLastPart = index == cuts.count - 2
      return record
    }
    let expected = try #require(try run([whole])[0].arrays["latents"]).floats()
    for threads in ["1", "2"] {
      let latents = try run(parts, ["-T", threads]).flatMap {
        try $0.arrays["latents"]?.floats() ?? []
      }
      let isSame = latents == expected
      #expect(isSame)
    }
  }
}
