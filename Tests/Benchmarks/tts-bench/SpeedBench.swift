import ArgumentParser
import Base
import Mimi
import ModelInterface
import NeuralNetworks
import Tensors

@testable import PocketTTS

/// The parts of generation, and encoding.
struct SpeedBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "speed",
    abstract: "Milliseconds a frame of the language model and of the codec, prefix, encoding.")

  /// What is timed.
  enum Part: String, ExpressibleByArgument, CaseIterable {
    case prefix, lm, mimi, encode
  }

  @OptionGroup var options: BenchOptions
  @Option(help: "A Pocket TTS model directory.") var model: String
  @Option(help: "Frames to generate.") var frames = 60
  @Option(help: "How weights are held: f32, bf16 or int8.") var precision = "f32"
  @Option(help: "Time only this part; repeatable.") var part: [Part] = []

  func run() throws {
    ThreadBudget.limit = options.threads
    guard let format = WeightFormat(rawValue: precision) else {
      throw ValidationError("--precision is f32, bf16 or int8.")
    }
    guard
      let generator = try PocketTTSModel(path: model).synthesizer(precision: format) as? Generator
    else {
      return
    }
    let parts = part.isEmpty ? Part.allCases : part
    var figures = ["threads": Double(options.threads), "frames": Double(frames)]
    if parts.contains(.prefix) { figures.merge(prefix(generator.flowLM)) { $1 } }
    if parts.contains(.lm) { figures.merge(steps(generator.flowLM)) { $1 } }
    if parts.contains(.mimi) { figures.merge(decoding(generator)) { $1 } }
    if parts.contains(.encode) { figures.merge(encoding(generator.mimi)) { $1 } }
    figures["rss_mb"] = peakMemory()
    report(figures)
  }

  /// 60 frames of voice and 40 tokens of text.
  private func read(_ flowLM: FlowLM, _ state: inout Transformer.State) {
    let width = flowLM.transformer.sizes.width
    var random = RandomNumbers(seed: 0, name: "prompt")
    let prompt = Tensor(random.normal(60 * width).map { $0 * 0.1 }, shape: [60, width])
    flowLM.transformer.remember(prompt, state: &state)
    flowLM.transformer.remember(
      flowLM.embed(tokens: (0..<40).map { 7 * $0 }), state: &state)
  }

  private func prefix(_ flowLM: FlowLM) -> [String: Double] {
    let times = (0..<options.runs).map { _ in
      var state = flowLM.transformer.initialState()
      return seconds { read(flowLM, &state) }
    }
    return ["prefix_100_ms": 1000 * median(times)]
  }

  private func steps(_ flowLM: FlowLM) -> [String: Double] {
    var state = flowLM.transformer.initialState()
    read(flowLM, &state)
    let channels = flowLM.bos.count
    let times = flowLM.head.stepTimes(1)
    var random = RandomNumbers(seed: 0, name: "noise")
    var latent = flowLM.bos.reshaped([1, channels])
    let steps = (0..<frames).map { _ in
      let noise = Tensor(random.normal(channels), shape: [1, channels])
      return seconds {
        let hidden = flowLM.hidden(
          flowLM.transformer(flowLM.embed(latents: latent), state: &state))
        _ = flowLM.endOfSpeechLogits(hidden).scalar
        latent = flowLM.head.sample(hidden, noise: noise, times: times)
      }
    }
    return ["lm_ms_per_frame": 1000 * median(Array(steps.dropFirst(5)))]
  }

  private func decoding(_ generator: Generator) -> [String: Double] {
    let mimi = generator.mimi
    let channels = generator.flowLM.bos.count
    var random = RandomNumbers(seed: 0, name: "latents")
    let latents = generator.flowLM.denormalize(
      Tensor(random.normal(frames * channels), shape: [frames, channels]))
    var decoder = mimi.makeDecoder()
    let steps = (0..<frames).map { frame in
      seconds { _ = decoder.decode(latents.rows(frame..<frame + 1)) }
    }
    let offline = (0..<options.runs).map { _ in
      var decoder = mimi.makeDecoder()
      return seconds { _ = decoder.decode(latents) }
    }
    return [
      "mimi_stream_ms_per_frame": 1000 * median(Array(steps.dropFirst(5))),
      "mimi_offline_decode_x": Double(frames) * 0.08 / median(offline),
    ]
  }

  private func encoding(_ mimi: Mimi) -> [String: Double] {
    var random = RandomNumbers(seed: 0, name: "sound")
    let sound = random.normal(mimi.sampleRate * 10).map { $0 * 0.1 }
    let times = (0..<options.runs).map { _ in
      var encoder = mimi.makeEncoder()
      return seconds {
        _ = encoder.encode(sound)
        _ = encoder.finish()
      }
    }
    return ["encode_x_realtime": 10 / median(times)]
  }
}
