import Base
import TestSupport
import Testing

@testable import ResembleEnhance

@Suite struct StateLayoutTests {
  private func parameters(_ part: Part) throws -> HyperParameters {
    try HyperParameters(yaml: "num_mels: 128\n", part: part, file: "hparams.yaml")
  }

  private func problem(_ shapes: [String: [Int]], _ part: Part = .denoiser) throws -> String {
    let layout = StateLayout(part, names: shapes.keys)
    let failure = #expect(throws: Failure.self) {
      try layout.check(shapes, parameters(part), file: "x.pt")
    }
    #expect(failure?.kind == .configuration && failure?.subject == "x.pt")
    return failure?.problem ?? ""
  }

  /// A denoiser without levels, by hand.
  private let least: [String: [Int]] = [
    "net.input_proj.weight": [16, 3, 3, 3], "net.input_proj.bias": [16],
    "net.head.0.weight": [16, 16, 3, 3], "net.head.0.bias": [16],
    "net.head.2.weight": [3, 16, 1, 1],
    "net.head.2.bias": [3], "mel_fn.stft_magnitude_min": [1],
    "mel_fn.melspec.spectrogram.window": [2048], "mel_fn.melspec.mel_scale.fb": [1025, 128],
  ]

  @Test func tensorsAreCounted() {
    let layers = (0..<30).map { "lcfm.cfm.net.layers.\($0).out.bias" }
    let blocks = (0..<4).map { "net.encoder_blocks.\($0).x" }
    let middle = (0..<2).map { "net.middle_blocks.\($0).x" }
    let within = (blocks + middle).map { "denoiser." + $0 }
    #expect(StateLayout(.enhancer, names: layers + within).tensors.count == 909)
    #expect(StateLayout(.denoiser, names: blocks + middle).tensors.count == 189)
    #expect(StateLayout.part(["lcfm.ae.encoder.0.weight"]) == .enhancer)
    #expect(StateLayout.part(["net.input_proj.weight"]) == .denoiser)
    #expect(StateLayout.part(["flow_lm.bos_emb"]) == nil)
  }

  @Test func whatIsAnotherModelIsNamed() throws {
    try StateLayout(.denoiser, names: least.keys)
      .check(least, parameters(.denoiser), file: "x.pt")
    var other = least
    other["net.head.2.bias"] = nil
    #expect(try problem(other) == "there is no tensor 'net.head.2.bias'")
    other = least
    other["net.extra"] = [1]
    #expect(try problem(other) == "tensor 'net.extra' is no part of the denoiser")
    other = least
    other["net.head.0.weight"] = [16, 8, 3, 3]
    #expect(
      try problem(other)
        == "tensor 'net.head.0.weight' has the shape [16, 8, 3, 3], not [16, 16, 3, 3]")
    other = least
    other["mel_fn.melspec.mel_scale.fb"] = [1025, 80]
    #expect(try problem(other).contains("[1025, 80], not [1025, 128]"))
    #expect(try problem(["lcfm.ae.x": [1]], .enhancer) == "there is no tensor 'dummy'")
    // Numbers in names claim nothing.
    other = least
    other["net.encoder_blocks.4000000000.x"] = [1]
    #expect(try problem(other).contains("encoder_blocks.0.pre_conv.weight"))
  }

  /// The package's own modules at full size (`Tests/Parity`).
  @Test(
    .enabled(if: hasFixture("ResembleEnhance/layout/enhancer.json")),
    arguments: ["enhancer", "denoiser"])
  func thePackagesModulesFit(_ name: String) throws {
    let json = try JSON.parse(readFile(fixture("ResembleEnhance/layout/\(name).json")))
    let shapes = try #require(json.object).mapValues { $0.array?.compactMap(\.integer) ?? [-1] }
    let part = try #require(Part(rawValue: name))
    #expect(StateLayout.part(shapes.keys) == part)
    try StateLayout(part, names: shapes.keys).check(shapes, parameters(part), file: name)
    // Each tensor counts.
    for (key, shape) in shapes.sorted(by: { $0.key < $1.key }).enumerated().filter({
      $0.offset % 17 == 0
    })
    .map(\.element) {
      var other = shapes
      other[key] = shape + [2]
      #expect(throws: Failure.self, "\(key)") {
        try StateLayout(part, names: other.keys).check(other, parameters(part), file: name)
      }
    }
  }
}

@Suite struct HyperParameterTests {
  private func read(_ yaml: String, _ part: Part = .enhancer) throws -> HyperParameters {
    try HyperParameters(yaml: yaml, part: part, file: "hparams.yaml")
  }

  @Test func pathsAreReadWithoutTheirTags() throws {
    let parameters = try read(
      """
      fg_dir: !!python/object/apply:pathlib.PosixPath
      - data
      - fg
      bg_dir: !!python/object/apply:pathlib.WindowsPath
      - /
      - a folder
      - bg
      rir_dir: !!python/object/apply:pathlib.PosixPath []
      denoiser_run_dir: runs/denoiser
      enhancer_stage1_run_dir: null
      mix_alpha_range:
      - 0.2
      - 0.75
      lcfm_z_scale: 6
      min_lr: 1.0e-05
      load_fg_only: true
      gan_training_start_step: null
      """)
    #expect(parameters["fg_dir"] == .text("data/fg"))
    #expect(parameters["bg_dir"] == .text("/a folder/bg"))
    #expect(parameters["rir_dir"] == .text("."))
    #expect(parameters["denoiser_run_dir"] == .text("runs/denoiser"))
    #expect(parameters["enhancer_stage1_run_dir"] == .none)
    #expect(parameters["mix_alpha_range"] == .numbers([0.2, 0.75]))
    #expect(parameters["lcfm_z_scale"] == .number(6))
    #expect(parameters["min_lr"] == .number(1e-5))
    #expect(parameters["load_fg_only"] == .flag(true))
    #expect(parameters["gan_training_start_step"] == .none)
    // What is not named has its default.
    #expect(parameters.whole("num_mels") == 128 && parameters["wav_rate"] == .whole(44100))
    #expect(try read(parameters.yaml()) == parameters)
    #expect(parameters.yaml().contains("\nmin_lr: 1.0e-05\n"))
  }

  @Test(arguments: [
    ("fg_dir: !!python/object/apply:os.system [true]", "refuses !!python/object/apply:os.system"),
    ("nj: !!python/object/apply:pathlib.PosixPath [a]", "'nj' refuses"),
    ("nj: !!python/name:os.system ''", "'nj' refuses"),
    ("no_such_key: 1", "'no_such_key' is no hyper-parameter"),
    ("distort_prob: 0.5", "'distort_prob' is no hyper-parameter of the enhancer"),
    ("nj: 1\nnj: 2", "nj"), ("nj: many", "'nj' has another kind"), ("nj: 1.5", "another kind"),
    ("nj: null", "another kind"), ("min_lr: [1, 2]", "another kind"),
    ("min_lr: .inf", "another kind"),
    ("mix_alpha_range: [1]", "another kind"), ("load_fg_only: 3", "another kind"),
    ("fg_dir: {a: 1}", "another kind"), ("[1, 2]", "no hyper-parameters"),
    ("", "no hyper-parameters"),
    ("{", "not valid YAML"), ("[a]: 1", "'?' is no"),
  ])
  func wrongOnesAreNamed(_ yaml: String, _ words: String) {
    let failure = #expect(throws: Failure.self) { try read(yaml) }
    #expect(failure?.kind == .configuration && failure?.subject == "hparams.yaml")
    #expect(failure?.problem.contains(words) == true, "\(failure?.problem ?? "")")
  }

  @Test func damageIsRefused() throws {
    let yaml =
      "fg_dir: !!python/object/apply:pathlib.PosixPath\n- data\n- fg\nmix_alpha_range: [0.2, 0.8]\nnj: 64\n"
    try fuzz("hparams", [Array(yaml.utf8)], rounds: 1500, refusals: [.configuration]) { bytes in
      let read = try read(String(decoding: bytes, as: UTF8.self))
      #expect(try self.read(read.yaml()) == read)
    }
  }

  /// What the package writes (`Tests/Parity`).
  @Test(
    .enabled(if: hasFixture("ResembleEnhance/layout/hparams/stage1/hparams.yaml")),
    arguments: ["stage1", "stage2", "absolute", "denoiser_run"])
  func thePackagesFilesAreRead(_ name: String) throws {
    let file = fixture("ResembleEnhance/layout/hparams/\(name)/hparams.yaml")
    let part = name == "denoiser_run" ? Part.denoiser : .enhancer
    let parameters = try read(String(decoding: readFile(file), as: UTF8.self), part)
    #expect(parameters.values.count == (part == .denoiser ? 22 : 32))
    #expect(parameters["fg_dir"] == .text(name == "absolute" ? "/data/a folder/fg" : "data/fg"))
    #expect(parameters["lcfm_z_scale"] == .number(name == "stage2" ? 6 : 5))
  }
}
