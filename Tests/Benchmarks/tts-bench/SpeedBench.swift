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

  @OptionGroup var options: BenchOptions
  @Option(help: "A Pocket TTS model directory.") var model: String
  @Option(help: "Frames to generate.") var frames = 60

  func run() throws {
    ThreadBudget.limit = options.threads
    guard let generator = try PocketTTSModel(path: model).synthesizer() as? Generator else {
      return
    }
    let (flowLM, mimi) = (generator.flowLM, generator.mimi)
    let channels = flowLM.bos.count
    var random = RandomNumbers(seed: 0, name: "bench")

    // 60 frames of voice, 40 tokens of text.
    let prompt = Tensor(
      random.normal(60 * flowLM.transformer.sizes.width).map { $0 * 0.1 },
      shape: [60, flowLM.transformer.sizes.width])
    let tokens = (0..<40).map { _ in Int32(random.uniform() * 300) }
    var state = flowLM.transformer.initialState()
    let prefix = (0..<options.runs).map { _ in
      state = flowLM.transformer.initialState()
      return seconds {
        _ = flowLM.transformer(prompt, state: &state)
        _ = flowLM.transformer(flowLM.embed(tokens: tokens), state: &state)
      }
    }

    let times = flowLM.head.stepTimes(1)
    var latents: [Tensor] = []
    var input = flowLM.bos.reshaped([1, channels])
    let steps = (0..<frames).map { _ in
      let noise = Tensor(random.normal(channels), shape: [1, channels])
      return seconds {
        let x = flowLM.transformer(
          flowLM.embed(latents: input), state: &state)
        let hidden = flowLM.hidden(x)
        _ = flowLM.endOfSpeechLogits(hidden).scalar
        input = flowLM.head.sample(hidden, noise: noise, times: times)
        latents.append(input)
      }
    }

    var decoder = mimi.makeDecoder()
    let decoding = latents.map { latent in
      seconds { _ = decoder.decode(flowLM.denormalize(latent)) }
    }
    let all = flowLM.denormalize(concatenateRows(latents))
    let offline = (0..<options.runs).map { _ in
      var decoder = mimi.makeDecoder()
      return seconds { _ = decoder.decode(all) }
    }
    let sound = random.normal(mimi.sampleRate * 10).map { $0 * 0.1 }
    let encoding = (0..<options.runs).map { _ in
      var encoder = mimi.makeEncoder()
      return seconds {
        _ = encoder.encode(sound)
        _ = encoder.finish()
      }
    }
    report([
      "threads": Double(options.threads), "frames": Double(frames),
      "lm_ms_per_frame": 1000 * median(Array(steps.dropFirst(5))),
      "mimi_stream_ms_per_frame": 1000 * median(Array(decoding.dropFirst(5))),
      "prefix_100_ms": 1000 * median(prefix),
      "mimi_offline_decode_x": Double(frames) * 0.08 / median(offline),
      "encode_x_realtime": 10 / median(encoding), "rss_mb": peakMemory(),
    ])
  }
}
