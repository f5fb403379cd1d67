import Base
import ModelInterface
import Tensors
import TestSupport
import Testing

@testable import PocketTTS

@Suite struct ConfigurationTests {
  private func yaml(_ kind: String = "lsd") throws -> String {
    String(decoding: try readFile(fixture("PocketTTS/\(kind)/config.yaml")), as: UTF8.self)
  }

  private func refusal(of text: String) -> Failure? {
    do {
      _ = try Configuration(yaml: text, file: "config.yaml")
      return nil
    } catch { return error as? Failure }
  }

  @Test(arguments: inferenceKinds + ["separate", "lsd_train"])
  func whatIsWrittenReadsTheSame(_ kind: String) throws {
    let configuration = try Configuration(yaml: try yaml(kind), file: "config.yaml")
    let again = try Configuration(yaml: configuration.yaml, file: "again.yaml")
    #expect(again == configuration)
  }

  @Test(arguments: KnownConfigurations.names) func knownConfigurationsAreWhole(_ name: String)
    throws
  {
    let known = try #require(KnownConfigurations.named(name))
    #expect(try Configuration(yaml: known.yaml, file: name) == known)
  }

  @Test func wrongKeysAreNamed() throws {
    let good = try yaml()
    for (text, word) in [
      (good + "surprise: 1\n", "surprise"),
      (good.replacing("    depth: 2", with: "    depth: 2\n    width: 3"), "flow_lm.flow.width"),
      (good.replacing("    d_model: 64\n", with: ""), "d_model"),
      (good.replacing("dim: 32\n", with: "dim: 32.5\n"), "dim"),
      (good.replacing("n_bins: 400", with: "n_bins: 99999999999999"), "n_bins"),
      (good.replacing("pad_mode: constant", with: "pad_mode: [1]"), "pad_mode"),
      ("flow_lm: [", "YAML"), ("", "empty"), ("- 1\n", "mapping"),
    ] {
      let failure = try #require(refusal(of: text), "\(word)")
      #expect(failure.kind == .configuration)
      #expect(failure.description.contains(word), "\(failure)")
    }
  }

  @Test func damagedConfigurationsAreRefused() throws {
    let seeds = try inferenceKinds.map { Array(try yaml($0).utf8) }
    try fuzz("yaml", seeds, rounds: 300, refusals: [.configuration]) {
      _ = try Configuration(yaml: String(decoding: $0, as: UTF8.self), file: "config.yaml").codec
    }
  }

  @Test func damagedVoicesAreRefused() throws {
    let model = try PocketTTSModel(path: fixture("PocketTTS/lsd"))
    let good = try readFile(fixture("PocketTTS/lsd/voice.safetensors"))
    let folder = try ScratchFolder()
    // The header, which comes first, is what can lie.
    let header = Int(good[0]) | Int(good[1]) << 8
    try fuzz(
      "voice", [good, Array(good.prefix(8 + header))], rounds: 300,
      refusals: [.badInput, .configuration, .noInput]
    ) {
      _ = try VoiceState(
        path: folder.write($0, to: "voice.safetensors"), backbone: model.configuration.backbone)
    }
  }

  @Test func aTokenizerOfAnotherSizeIsRefused() throws {
    let folder = try ScratchFolder()
    _ = try folder.write(
      try yaml().replacing("n_bins: 400", with: "n_bins: 401"), to: "config.yaml")
    _ = try folder.write(
      try readFile(fixture("PocketTTS/lsd/tokenizer.json")), to: "tokenizer.json")
    let model = try PocketTTSModel(path: folder.path)
    do {
      _ = try model.tokenizer()
      Issue.record("accepted")
    } catch let failure as Failure {
      #expect(failure.kind == .configuration)
      #expect(failure.problem.contains("400") && failure.problem.contains("401"))
    }
  }

  /// A codec that never learned anything still has to tell sounds apart.
  @Test func latentsOfANewModelVaryWithTheSound() throws {
    let folder = try ScratchFolder()
    try initializeModel(
      ModelInitialization(
        configuration: fixture("PocketTTS/lsd/config.yaml"),
        tokenizer: fixture("PocketTTS/lsd/tokenizer.json"), seed: 1,
        directory: folder.file("model")))
    let model = try PocketTTSModel(path: folder.file("model"))
    var encoder = try model.codec(precision: .float32).makeEncoder()
    let sound = speechLike(seconds: 8, rate: 24000)
    let latents = concatenateRows([encoder.encode(sound), encoder.finish()])
    let (values, width) = (latents.values, latents.columns)
    func deviation(_ numbers: [Float]) -> Double {
      let mean = numbers.reduce(0.0) { $0 + Double($1) } / Double(numbers.count)
      let squares = numbers.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
      return (squares / Double(numbers.count)).squareRoot()
    }
    let overTime = (0..<width).map { channel in
      deviation(stride(from: channel, to: values.count, by: width).map { values[$0] })
    }
    #expect(overTime.reduce(0, +) / Double(width) > 0.3 * deviation(values))
  }
}
