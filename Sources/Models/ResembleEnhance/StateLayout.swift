import Base

/// The names and shapes of a model's state dictionary.
///
/// Shapes are words: a number, or a size by its letter, perhaps multiplied. The sizes are what the first
/// tensors have; all others must agree. How many blocks there are is counted.
struct StateLayout {
  /// Names and shapes, in an order in which sizes stand alone before they stand in products.
  private(set) var tensors: [(name: String, shape: String)] = []

  /// How many blocks there are of those that every model has as many of as it likes.
  struct Counts: Sendable, Equatable {
    /// Layers of the velocity network.
    var flowLayers = 30
    /// Levels of the denoiser's U-Net on either side.
    var levels = 4
    /// Blocks between them.
    var middleBlocks = 2
  }

  /// The layout of a state dictionary that has these names.
  init(_ part: Part, names: some Collection<String>) {
    let net = part == .denoiser ? "net." : "denoiser.net."
    self.init(
      part,
      Counts(
        flowLayers: Self.count("lcfm.cfm.net.layers.", in: names),
        // More levels than any sound has samples would be too many for the widths.
        levels: min(32, Self.count(net + "encoder_blocks.", in: names)),
        middleBlocks: Self.count(net + "middle_blocks.", in: names)))
  }

  /// The layout of a model of so many blocks.
  init(_ part: Part, _ counts: Counts) {
    switch part {
    case .denoiser: addDenoiser("", counts)
    case .enhancer:
      add("dummy", "1")
      add("normalizer.running_mean_unsafe", "")
      add("normalizer.running_var_unsafe", "")
      addMel("mel_fn.")
      addAutoencoder()
      addFlow(layers: counts.flowLayers)
      addVocoder()
      addDenoiser("denoiser.", counts)
    }
  }

  /// The part that names belong to; nil when to neither.
  static func part(_ names: some Collection<String>) -> Part? {
    if names.contains(where: { $0.hasPrefix("lcfm.ae.") }) { return .enhancer }
    return names.contains("net.input_proj.weight") ? .denoiser : nil
  }

  /// Whether a tensor holds no weights but what is computed or counted: windows, filters, statistics.
  static func isConstant(_ name: String) -> Bool {
    name == "dummy"
      || [".window", ".fb", ".filter", "_unsafe", ".stft_magnitude_min"].contains(
        where: name.hasSuffix)
  }

  /// How many different numbers follow a prefix.
  static func count(_ prefix: String, in names: some Collection<String>) -> Int {
    Set(
      names.compactMap { name in
        name.hasPrefix(prefix) ? Int(name.dropFirst(prefix.count).prefix { $0 != "." }) : nil
      }
    ).count
  }

  private mutating func add(_ name: String, _ shape: String) { tensors.append((name, shape)) }

  /// Weight and bias.
  private mutating func addConvolution(_ name: String, _ shape: String, bias: Bool = true) {
    add(name + ".weight", shape)
    if bias { add(name + ".bias", String(shape.prefix { $0 != " " })) }
  }

  /// A weight split into length and direction, and a bias.
  private mutating func addNormed(_ name: String, _ shape: String) {
    let outputs = String(shape.prefix { $0 != " " })
    add(name + ".parametrizations.weight.original1", shape)
    add(name + ".parametrizations.weight.original0", outputs + " 1 1")
    add(name + ".bias", outputs)
  }

  private mutating func addMel(_ prefix: String) {
    add(prefix + "stft_magnitude_min", "1")
    add(prefix + "melspec.spectrogram.window", "F")
    add(prefix + "melspec.mel_scale.fb", "B M")
  }

  private mutating func addAutoencoder() {
    func addResidual(_ name: String, to layout: inout StateLayout) {
      for group in 0..<4 {
        layout.addConvolution("\(name).\(3 * group)", "A")
        layout.addNormed("\(name).\(3 * group + 2)", "A A 3")
      }
    }
    let name = "lcfm.ae."
    addConvolution(name + "encoder.0", "A M 3")
    for block in 1...4 { addResidual("\(name)encoder.\(block)", to: &self) }
    addConvolution(name + "encoder.5", "L A 1", bias: false)
    for layer in 6...8 { addConvolution("\(name)encoder.\(layer)", "L L 1", bias: false) }
    addConvolution(name + "decoder.0", "A L 3")
    for block in 1...4 { addResidual("\(name)decoder.\(block)", to: &self) }
    addConvolution(name + "decoder.5", "E A 1")
    addConvolution(name + "head.0", "A E 3")
    addConvolution(name + "head.2", "M A 1")
    add(name + "estimator.running_mean_unsafe", "")
    add(name + "estimator.running_var_unsafe", "")
  }

  private mutating func addFlow(layers: Int) {
    let name = "lcfm.cfm.net."
    addConvolution(name + "start", "W L 1")
    for layer in 0..<layers {
      addConvolution("\(name)layers.\(layer).gconv", "W G 1")
      addConvolution("\(name)layers.\(layer).lconv", "2W M 1")
      addConvolution("\(name)layers.\(layer).dconv", "2W W 3")
      addConvolution("\(name)layers.\(layer).out", "2W W 1")
    }
    addConvolution(name + "end", "L W 1")
  }

  private mutating func addVocoder() {
    addNormed("vocoder.conv_pre", "N 128 7")
    addNormed("vocoder.conv_post.1", "1 N 7")
    for (block, stride) in [7, 5, 4, 3].enumerated() {
      let name = "vocoder.blocks.\(block)."
      addNormed(name + "convt_pre.1", "N N \(2 * stride)")
      for layer in 0..<3 {
        let amp = "\(name)amp_block.\(layer)."
        addNormed(amp + "0", "N N 3")
        addNormed(amp + "2", "N N 3")
        add(amp + "1.act.log_alpha", "N")
        add(amp + "1.act.log_beta", "N")
        add(amp + "1.upsample.filter", "1 1 12")
        add(amp + "1.downsample.lowpass.filter", "1 1 12")
      }
      addNormed(name + "kernel_predictor.input_conv.0", "P E 5")
      for layer in 0..<3 {
        addNormed("\(name)kernel_predictor.residual_convs.\(layer).1", "P P 3")
        addNormed("\(name)kernel_predictor.residual_convs.\(layer).3", "P P 3")
      }
      // Four layers of [N in, 2 N out, 3 taps], and their biases.
      addNormed(name + "kernel_predictor.kernel_conv", "24NN P 3")
      addNormed(name + "kernel_predictor.bias_conv", "8N P 3")
      for layer in 0..<4 { addNormed("\(name)conv_blocks.\(layer).1", "N N 3") }
    }
  }

  private mutating func addDenoiser(_ prefix: String, _ counts: Counts) {
    func addBlock(_ name: String, _ inputs: Int, _ outputs: Int, to layout: inout StateLayout) {
      layout.addConvolution(name + ".pre_conv", "\(outputs)U \(inputs)U 3 3")
      for half in 1...2 {
        for place in [0, 3] {
          layout.addConvolution("\(name).res_block\(half).\(place)", "\(outputs)U")
          layout.addConvolution(
            "\(name).res_block\(half).\(place + 2)", "\(outputs)U \(outputs)U 3 3")
        }
      }
    }
    addMel(prefix + "mel_fn.")
    let net = prefix + "net."
    addConvolution(net + "input_proj", "U 3 3 3")
    for level in 0..<counts.levels {
      addBlock("\(net)encoder_blocks.\(level)", 1 << level, 2 << level, to: &self)
      let width = 1 << (counts.levels - level)
      addBlock("\(net)decoder_blocks.\(level)", width, width / 2, to: &self)
    }
    for block in 0..<counts.middleBlocks {
      addBlock("\(net)middle_blocks.\(block)", 1 << counts.levels, 1 << counts.levels, to: &self)
    }
    addConvolution(net + "head.0", "U U 3 3")
    addConvolution(net + "head.2", "3 U 1 1")
  }

  // MARK: Making

  /// Names and shapes with all sizes given.
  ///
  /// - Parameter widths: of the sizes that are no hyper-parameters, by their letters.
  /// - Returns: nil where a tensor would be empty, or too large.
  func shapes(
    _ parameters: HyperParameters, _ widths: [Character: Int]
  ) -> [(name: String, shape: [Int])]? {
    let sizes = Self.sizes(parameters).merging(widths) { size, _ in size }
    var made: [(name: String, shape: [Int])] = []
    for (name, shape) in tensors {
      let words = shape.split(separator: " ")
      let numbers = words.compactMap { Self.size($0, sizes) }
      guard numbers.count == words.count, numbers.allSatisfy({ $0 > 0 }),
        numbers.reduce(1, { $0 * Double($1) }) < 1e10
      else { return nil }
      made.append((name, numbers))
    }
    return made
  }

  // MARK: Checking

  /// - Parameters:
  ///   - shapes: by name.
  ///   - file: for messages.
  /// - Throws: `configuration` when one is missing, has another shape or is no part of the model.
  func check(_ shapes: [String: [Int]], _ parameters: HyperParameters, file: String) throws {
    var sizes = Self.sizes(parameters)
    for (name, wanted) in tensors {
      guard let shape = shapes[name] else {
        throw Failure.otherState(file, "there is no tensor '\(name)'")
      }
      let words = wanted.split(separator: " ")
      guard words.count == shape.count,
        zip(words, shape).allSatisfy({ Self.fits($1, $0, &sizes) })
      else {
        let known = words.map { Self.size($0, sizes).map(String.init) ?? "any" }
        throw Failure.otherState(
          file,
          "tensor '\(name)' has the shape \(shape), not [\(known.joined(separator: ", "))]")
      }
    }
    if shapes.count > tensors.count {
      let names = Set(tensors.map(\.name))
      let strangers = shapes.keys.filter { !names.contains($0) }.sorted()
      throw Failure.otherState(
        file, "tensor '\(strangers[0])' is no part of the \(parameters.part.rawValue)")
    }
  }

  /// The sizes that are hyper-parameters.
  private static func sizes(_ parameters: HyperParameters) -> [Character: Int] {
    let mels = parameters.whole("num_mels")
    var sizes: [Character: Int] = [
      "M": mels, "F": parameters.whole("win_size"), "B": parameters.whole("n_fft") / 2 + 1,
    ]
    if parameters.part == .enhancer {
      sizes["L"] = parameters.whole("lcfm_latent_dim")
      sizes["N"] = parameters.whole("univnet_nc")
      sizes["E"] = mels + parameters.whole("vocoder_extra_dim")
    }
    return sizes
  }

  private static func fits(_ size: Int, _ word: Substring, _ sizes: inout [Character: Int]) -> Bool
  {
    if word.count == 1, let letter = word.first, letter.isLetter, sizes[letter] == nil, size > 0 {
      sizes[letter] = size
    }
    return self.size(word, sizes) == size
  }

  /// The size that a word stands for; nil where a letter has no size yet, or it would be too large.
  private static func size(_ word: Substring, _ sizes: [Character: Int]) -> Int? {
    let digits = word.prefix { $0.isNumber }
    return word.dropFirst(digits.count).reduce(digits.isEmpty ? 1 : Int(digits)) {
      product, letter in
      guard let product, let size = sizes[letter] else { return nil }
      let (value, overflow) = product.multipliedReportingOverflow(by: size)
      return overflow ? nil : value
    }
  }
}
