public import ArgumentParser
import Base
import Filters
import ModelInterface
import ModelRegistry
public import Tensors

/// `tts-mimi-encode`: audio to latents of a model's codec, and back.
@main
struct MimiEncode: RecordFilter {
  static let tool = ToolDescription(
    name: "tts-mimi-encode",
    abstract: "Encode the audio of records to Mimi latents, or decode latents to audio.",
    examples: [
      "tts-mimi-encode --model MODEL in.ttsr -o latents.ttsr",
      "tts-import wavs/ | tts-vad | tts-mimi-encode --model MODEL -o latents.ttsr",
      "tts-mimi-encode --decode --model MODEL latents.ttsr | tts-stream view --audio heard/",
    ],
    discussion: """
      Latents are raw: as the encoder gives them, before any normalisation, one frame for 80 ms. \
      Audio at another rate than the codec's is resampled on the way with the filter that the model \
      itself uses. The parts of a long recording are encoded as one.
      """)

  @Option(
    help: ArgumentHelp(
      "The model whose codec is used: a directory, a YAML file, or an official name.",
      valueName: "model"))
  var model: String

  @Flag(help: "Decode latents to audio instead.")
  var decode = false

  @Flag(help: "Keep the audio beside the latents, or the latents beside the audio.")
  var keep = false

  @Option(
    help: ArgumentHelp(
      "How weights are held: f32, bf16 or int8; less is faster and less exact.", valueName: "name"))
  var precision: WeightFormat = .float32

  /// How latents are stored.
  enum Storage: String, ExpressibleByArgument, CaseIterable {
    case f32, f16
  }

  @Option(
    help: ArgumentHelp(
      "Store latents as f32, or as f16 in half the space, rounded.", valueName: "type"))
  var latents: Storage = .f32

  @OptionGroup var stream: StreamOptions

  func stage() throws -> StageParameters {
    let model = try ModelRegistry.speechModel(model)
    return StageParameters(
      [
        "decode": "\(decode)", "keep": "\(keep)", "precision": precision.rawValue,
        "latents": latents.rawValue,
      ],
      models: [
        "codec": try (decode ? model.decoderDigest() : model.encoderDigest()).description
      ])
  }

  func makeWorker(_ run: ToolRun) throws -> CodecWorker {
    let codec = try ModelRegistry.speechModel(model).codec(precision: precision)
    guard !decode || codec.decodesItsLatents else {
      throw Failure(
        .configuration, subject: model,
        problem: "its codec encodes to latents that it cannot decode",
        remedy: "decode with a model whose inner_dim is its latent size")
    }
    return CodecWorker(
      codec: codec, decodes: decode, keeps: keep, halves: latents == .f16, run: run)
  }
}

extension WeightFormat: ExpressibleByArgument {}
