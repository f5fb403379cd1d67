import Base
import Foundation
import Pickles
import Safetensors
import TestSupport
import Testing

/// `tts-model convert` from PyTorch files and to them.
@Suite(.enabled(if: isBuilt("tts-model") && hasFixture("PocketTTS/lsd_train/config.yaml")))
struct ConvertTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd_train")

  init() throws { folder = try ScratchFolder() }

  @discardableResult
  private func convert(_ arguments: [String], code: Int32 = 0, _ words: String...) throws
    -> ProcessResult
  {
    let before = try folder.names()
    let result = try runTool("tts-model", ["convert"] + arguments, directory: folder.path)
    #expect(result.code == code, "\(arguments): \(result.errors)")
    for word in words { #expect(result.errors.contains(word), "\(arguments): \(result.errors)") }
    if code != 0 {
      #expect(try folder.names() == before)
      #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
    }
    return result
  }

  private typealias Arrays = [String: ArrayData]

  private func write(_ members: [(String, Arrays?)], step: Int64 = 4, to name: String) throws {
    var content = [PickledMember(.string("step"), .integer(step))]
    var stored: Arrays = [:]
    for (member, arrays) in members {
      guard let arrays else {
        content.append(PickledMember(.string(member), .none))
        continue
      }
      var tensors: [String: PickledTensor] = [:]
      for (name, array) in arrays {
        let key = "\(member) \(name)"
        tensors[name] = PickledTensor(key: key, type: array.type, shape: array.shape)
        stored[key] = array
      }
      content.append(PickledMember(.string(member), PickledValue(tensors)))
    }
    try writeTorchFile(.dictionary(content), to: folder.file(name)) { storage, write in
      try #require(stored[storage.key]).bytes.withUnsafeBytes(write)
    }
  }

  /// A model's own weights as the official trainer keeps them.
  private func weights() throws -> Arrays {
    let file = try SafetensorsFile(path: model + "/model.safetensors")
    var arrays = ["flow.w_s_t.weight": ArrayData([1, 2] as [Float])]
    for name in file.names where name.hasPrefix("flow_lm.") { arrays[name] = try file.array(name) }
    return arrays
  }

  private func result(_ directory: String) throws -> SafetensorsFile {
    try SafetensorsFile(path: folder.file(directory + "/model.safetensors"))
  }

  // MARK: Pocket TTS

  @Test func theAverageLiesOverTheModel() throws {
    let own = try weights()
    let name = "flow_lm.transformer.layers.0.linear1.weight"
    let shape = try #require(own[name]).shape
    let moved = ArrayData([Float](repeating: 0.25, count: shape.reduce(1, *)), shape: shape)
    try write(
      [
        ("model", own), ("ema", [name: moved, "flow.w_s_t.weight": ArrayData([3, 4] as [Float])]),
      ],
      to: "checkpoint_00000004.pt")
    try convert(["--config", model, "checkpoint_00000004.pt", "-o", "mine"])
    try convert(["--config", model, "--raw", "checkpoint_00000004.pt", "-o", "raw"])
    let source = try SafetensorsFile(path: model + "/model.safetensors")
    let (mine, raw) = (try result("mine"), try result("raw"))
    #expect(mine.names == source.names && raw.names == source.names)
    for key in source.names {
      #expect(try raw.array(key) == source.array(key), "\(key)")
      #expect(try mine.array(key) == (key == name ? moved : source.array(key)), "\(key)")
    }
    let speech = try runTool(
      "tts-synth",
      ["--model", "mine", "--max-frames", "3", "--format", "f32le", "--text", "Hi."],
      directory: folder.path)
    #expect(speech.code == 0 && !speech.output.isEmpty, "\(speech.errors)")

    // Without an average, in half precision, and with the codec.
    let half = try own.mapValues { ArrayData.bfloats(try $0.floats(), shape: $0.shape) }
    try write([("model", half), ("ema", nil)], to: "half.pt")
    try convert(["--config", model, "half.pt", "-o", "half"])
    #expect(try result("half").floats(name) == half[name]?.floats())
    var all = own
    for key in source.names where key.hasPrefix("mimi.") { all[key] = try source.array(key) }
    try write([("model", all)], to: "all.pt")
    try convert(["--config", model, "all.pt", "--precision", "bf16", "-o", "all"])
    #expect(try result("all").type(of: name) == .bf16)
  }

  @Test func theWayBackIsExact() throws {
    try convert(["--to", "pt", model, "-o", "m.pt"])
    try convert(["--config", model, "m.pt", "-o", "again"])
    try convert([model, "-o", "first"])
    for name in ["model.safetensors", "config.yaml", "tokenizer.model"] {
      #expect(try folder.read("again/" + name) == folder.read("first/" + name))
    }
    let file = try TorchFile(path: folder.file("m.pt"))
    #expect(
      file.content.members?.map(\.key) == [.string("step"), .string("model"), .string("ema")])
    #expect(file.content["ema"] == PickledValue.none)
    #expect(
      file.content["model"]?.tensors?.keys.sorted() == (try weights().keys.sorted().dropFirst(1))
        + [])
    try convert(["--to", "pt", model, "-o", "m.pt"], code: 73, "m.pt: it exists")
    try convert(
      ["--to", "pt", model, "--precision", "bf16", "-o", "n.pt"], code: 64, "--precision")
  }

  @Test func wrongCheckpointsAreRefused() throws {
    let own = try weights()
    try write([("model", own)], to: "good.pt")
    func fails(_ name: String, _ code: Int32, _ words: String) throws {
      try convert(["--config", model, name, "-o", "x"], code: code, "\(name): ", words)
    }
    try convert(["good.pt", "-o", "x"], code: 64, "--config")
    let info = try runTool("tts-model", ["info", "good.pt"], directory: folder.path)
    #expect(info.code == 78 && info.errors.contains("tts-model convert"), "\(info.errors)")
    try convert(["--config", model, "--to", "pt", "good.pt", "-o", "x"], code: 64, "--to")
    try convert(["--config", model, "--checkpoint", "3", "good.pt", "-o", "x"], code: 64)
    try convert(["--config", model, model, "-o", "x"], code: 64, "--config")
    try convert(["--config", "nothing", "good.pt", "-o", "x"], code: 66, "nothing")
    try convert(
      ["--config", fixture("PocketTTS/flow_matching_train"), "good.pt", "-o", "x"], code: 78,
      "good.pt: tensor", "expected")
    try fails("missing.pt", 66, "no such file")
    try folder.write("step: 4\n", to: "text.pt")
    try fails("text.pt", 65, "no zip archive")
    let bytes = try folder.read("good.pt")
    try folder.write(Array(bytes[..<(bytes.count / 2)]), to: "cut.pt")
    try fails("cut.pt", 65, "cut short")
    var damaged = bytes
    damaged[bytes.count / 2] ^= 1
    try folder.write(damaged, to: "damaged.pt")
    try fails("damaged.pt", 65, "is not what was written")

    let name = "flow_lm.bos_emb"
    let shape = try #require(own[name]).shape
    var other = own
    var values = try #require(own[name]).floats()
    values[1] = .nan
    other[name] = ArrayData(values, shape: shape)
    try write([("model", other)], to: "nan.pt")
    try fails("nan.pt", 65, "tensor 'flow_lm.bos_emb': a value is not finite")
    other[name] = ArrayData([Int64](repeating: 1, count: shape.reduce(1, *)), shape: shape)
    try write([("model", other)], to: "whole.pt")
    try fails("whole.pt", 65, "tensor 'flow_lm.bos_emb': elements of type I64")
    other[name] = nil
    try write([("model", other)], to: "less.pt")
    try fails("less.pt", 78, "tensor 'bos_emb' is missing")
    other = own
    other["flow_lm.extra"] = own[name]
    try write([("model", other)], to: "more.pt")
    try fails("more.pt", 78, "extra")
    other = own
    other["head.weight"] = own[name]
    try write([("model", other)], to: "stranger.pt")
    try fails("stranger.pt", 78, "'head.weight' is neither")
    try write([("model", own), ("ema", ["flow_lm.gone": ArrayData([1] as [Float])])], to: "ema.pt")
    try fails("ema.pt", 78, "running average")
    try write([("optimizer", own)], to: "optim.pt")
    try fails("optim.pt", 78, "it holds 'step', 'optimizer'")
    for (file, words) in [("system", "refuses posix.system"), ("legacy", "before version 1.6")] {
      let path = fixture("Torch/\(file).pt")
      try convert(["--config", model, path, "-o", "x"], code: 65, path, words)
    }
  }

  // MARK: Resemble-Enhance

  /// A denoiser without levels, as the package's trainer keeps it.
  private func denoiser() -> Arrays {
    let shapes: [String: [Int]] = [
      "net.input_proj.weight": [16, 3, 3, 3], "net.input_proj.bias": [16],
      "net.head.0.weight": [16, 16, 3, 3], "net.head.0.bias": [16],
      "net.head.2.weight": [3, 16, 1, 1], "net.head.2.bias": [3], "mel_fn.stft_magnitude_min": [1],
      "mel_fn.melspec.spectrogram.window": [64], "mel_fn.melspec.mel_scale.fb": [33, 8],
    ]
    var arrays: Arrays = [:]
    for (name, shape) in shapes {
      var random = RandomNumbers(seed: 1, name: name)
      let values = random.normal(shape.reduce(1, *))
      arrays[name] =
        name.hasPrefix("net.") ? .bfloats(values, shape: shape) : ArrayData(values, shape: shape)
    }
    return arrays
  }

  private let parameters = """
    fg_dir: !!python/object/apply:pathlib.PosixPath
    - data
    - fg
    n_fft: 64
    win_size: 64
    num_mels: 8
    min_lr: 1.0e-05

    """

  private func writeRun(_ arrays: Arrays, to name: String) throws {
    try folder.write(parameters, to: name + "/hparams.yaml")
    try folder.write("default", to: name + "/ds/G/latest")
    try folder.write("", to: name + "/ds/G/default/none")
    try write([("module", arrays)], to: name + "/ds/G/default/mp_rank_00_model_states.pt")
  }

  @Test func runsOfResembleEnhanceAreConvertedBothWays() throws {
    let arrays = denoiser()
    try writeRun(arrays, to: "run")
    try convert(["run", "-o", "model"])
    let file = try result("model")
    #expect(file.names == arrays.keys.sorted())
    for (name, array) in arrays { #expect(try file.array(name) == array, "\(name)") }
    let config = String(decoding: try folder.read("model/config.yaml"), as: UTF8.self)
    #expect(
      config == """
        model: resemble-enhance
        part: denoiser
        weights_path: model.safetensors
        hparams:
          fg_dir: "data/fg"
          n_fft: 64
          win_size: 64
          num_mels: 8
          min_lr: 1.0e-05

        """)
    try convert(["--to", "pt", "model", "-o", "back"])
    try convert(["back", "-o", "model2"])
    for name in ["model.safetensors", "config.yaml"] {
      #expect(try folder.read("model/" + name) == folder.read("model2/" + name))
    }
    try convert(["run/ds/G/default/mp_rank_00_model_states.pt", "-o", "by file"])
    #expect(try folder.read("by file/model.safetensors") == folder.read("model/model.safetensors"))
    try convert(["model", "-o", "copy"])
    for name in ["model.safetensors", "config.yaml"] {
      #expect(try folder.read("model/" + name) == folder.read("copy/" + name))
    }
    try convert(["model", "--precision", "bf16", "-o", "x"], code: 64, "--precision")
    try convert(["model", "--voices", "*.wav", "-o", "x"], code: 66)
    try convert(["model", "--checkpoint", "3", "-o", "x"], code: 66, "no checkpoint of step 3")
    try convert(["--to", "pt", "model", "-o", "back"], code: 73, "there is a checkpoint already")
    try convert(["run", "-o", "model"], code: 73, "there is a model already")
  }

  @Test func wrongRunsAreRefused() throws {
    var arrays = denoiser()
    try writeRun(arrays, to: "run")
    let file = "run/ds/G/default/mp_rank_00_model_states.pt"
    let info = try runTool("tts-model", ["info", "run"], directory: folder.path)
    #expect(info.code == 78 && info.errors.contains("run: a run of a model's own trainer"))
    #expect(info.errors.contains("tts-model convert"))
    try convert(["run", "--precision", "bf16", "-o", "x"], code: 64, "--precision")
    try folder.write("num_mels: 80\n", to: "other.yaml")
    try convert(["--config", "other.yaml", "run", "-o", "x"], code: 78, "[64], not [2048]")
    try folder.write("nj: !!python/object/apply:os.system [true]\n", to: "evil.yaml")
    try convert(["--config", "evil.yaml", file, "-o", "x"], code: 78, "evil.yaml: 'nj' refuses")
    try folder.write(folder.read(file), to: "alone.pt")
    try convert(["alone.pt", "-o", "x"], code: 66, "no hparams.yaml")
    try folder.write("../..", to: "run/ds/G/latest")
    try convert(["run", "-o", "x"], code: 78, "latest")
    try folder.write("backup", to: "run/ds/G/latest")
    try convert(["run", "-o", "x"], code: 66, "backup")
    arrays["net.head.0.bias"] = ArrayData([Float](repeating: .nan, count: 16))
    try writeRun(arrays, to: "nan")
    try convert(["nan", "-o", "x"], code: 65, "'net.head.0.bias' has a value that is not finite")
    arrays = [
      "mpd.0.convs.0.bias": ArrayData([1] as [Float]), "mrd.0.x": ArrayData([1] as [Float]),
    ]
    try writeRun(arrays, to: "critic")
    try convert(["critic", "-o", "x"], code: 78, "the discriminator of a run")
  }

  /// What the package wrote (`Tests/Parity`).
  @Test(.enabled(if: hasFixture("ResembleEnhance/layout/denoiser_run/hparams.yaml")))
  func aRunOfThePackageIsConverted() throws {
    try convert([fixture("ResembleEnhance/layout/denoiser_run"), "-o", "model"])
    #expect(try result("model").names.count == 9)
    #expect(try result("model").metadata["global_steps"] == "870000")
    for name in ["foreign_call", "foreign_global"] {
      try convert([fixture("ResembleEnhance/layout/\(name).pt"), "-o", "x"], code: 65, "refuses")
    }
  }
}
