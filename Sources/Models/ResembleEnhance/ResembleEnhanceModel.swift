import Base
import Foundation
import ModelInterface
import Safetensors
import Tensors

/// An opened model directory.
struct ResembleEnhanceModel: EnhancementModel {
  let folder: ModelFolder
  var path: String { folder.path }

  /// Reads the configuration.
  init(path: String) throws { folder = try ModelFolder(path: path) }

  func fetch() throws -> [String] { [folder.weights] }

  func enhancer(precision: WeightFormat) throws -> any SpeechEnhancer {
    try Enhancer(folder, precision: precision)
  }

  func pack(precision: WeightFormat) throws -> [String] {
    try Enhancer(folder, precision: precision).pack()
  }

  // MARK: Digests

  func enhancerDigest(_ options: EnhancementOptions) throws -> SHA256Digest {
    let (file, parameters) = (try folder.openWeights(), folder.parameters)
    let denoiser = parameters.part == .denoiser ? "" : "denoiser."
    guard options.mode == .enhance else {
      return try digest(file, ["wav_rate", "hop_size"]) { $0.hasPrefix(denoiser + "net.") }
    }
    guard parameters.part == .enhancer else {
      throw Failure.denoiserAlone(path)
    }
    // What only training reads: a head, statistics of the latents; and the denoiser's mel.
    let unused = ["dummy", "lcfm.ae.head.", "lcfm.ae.estimator.", "denoiser.mel_fn."]
    let withoutDenoiser = options.denoising == 0
    return try digest(file, Self.constants) { name in
      !unused.contains(where: name.hasPrefix)
        && !(withoutDenoiser && name.hasPrefix("denoiser."))
    }
  }

  /// Hyper-parameters that enhancing computes with, beyond those that shapes tell.
  private static let constants = [
    "wav_rate", "hop_size", "preemphasis", "cfm_time_mapping_divisor", "lcfm_training_mode",
    "lcfm_z_scale",
    "force_gaussian_prior",
  ]

  private func digest(
    _ file: SafetensorsFile, _ constants: [String], where isWanted: (String) -> Bool
  ) throws -> SHA256Digest {
    var hasher = TensorHasher()
    for name in file.names where isWanted(name) {
      let shape = file.shape(of: name) ?? []
      if file.type(of: name) == .f32 {
        try file.withBytes(name) { hasher.update(name, shape, $0) }
      } else {
        try file.floats(name).withUnsafeBytes { hasher.update(name, shape, $0) }
      }
    }
    for key in constants { hasher.update(key, folder.parameters.text(key)) }
    return hasher.finish()
  }

  // MARK: Facts and files

  func facts() throws -> [(name: String, value: String)] {
    let (file, parameters) = (try folder.openWeights(), folder.parameters)
    func millions(_ prefix: String) -> String {
      let names = file.names.filter { $0.hasPrefix(prefix) && !StateLayout.isConstant($0) }
      let count = names.reduce(0) { $0 + (file.shape(of: $1) ?? []).reduce(1, *) }
      return String(format: "%.2f M", Double(count) / 1e6)
    }
    var facts = [
      ("model", "Resemble-Enhance"),
      ("part", parameters.part.rawValue),
      ("sample rate", "\(parameters.whole("wav_rate")) Hz"),
      ("hop", "\(parameters.whole("hop_size")) samples"),
    ]
    if parameters.part == .enhancer {
      facts += [
        ("training mode", parameters.text("lcfm_training_mode")),
        ("mel bands", parameters.text("num_mels")),
        ("latent channels", parameters.text("lcfm_latent_dim")),
        ("latent scale", parameters.text("lcfm_z_scale")),
        ("vocoder channels", parameters.text("univnet_nc")),
        ("autoencoder parameters", millions("lcfm.ae.")),
        ("flow parameters", millions("lcfm.cfm.")),
        ("vocoder parameters", millions("vocoder.")),
        ("denoiser parameters", millions("denoiser.")),
      ]
    } else {
      facts.append(("denoiser parameters", millions("")))
    }
    for (key, name) in [("global_steps", "steps"), ("global_samples", "samples")] {
      if let count = file.metadata[key] { facts.append((name, count)) }
    }
    for mode in EnhancementMode.allCases where mode == .denoise || parameters.part == .enhancer {
      var options = EnhancementOptions()
      options.mode = mode
      facts.append(("\(mode.rawValue) digest", try enhancerDigest(options).description))
    }
    return facts
  }

  func write(to directory: String, as form: ModelForm) throws {
    guard form == ModelForm() else { throw Failure.otherForm }
    let file = try folder.openWeights()
    try createDirectory(directory)
    let copy = ModelFolder(path: directory, parameters: folder.parameters)
    try AtomicFile.write(copy.yaml, to: copy.configuration)
    try writeSafetensors(
      file.names.map {
        (name: $0, type: file.type(of: $0) ?? .f32, shape: file.shape(of: $0) ?? [])
      },
      metadata: file.metadata, to: copy.weights
    ) { name, _, write in try file.withBytes(name, write) }
  }

  func writeCheckpoint(to path: String) throws { try folder.export(to: path) }
}
