import Base

/// The official configurations by name (package 4.0.1), so that none has to be at hand.
enum KnownConfigurations {
  /// The sizes that a configuration shares with others.
  private enum Family {
    case large, first, deep, drifting, medium, small, tiny
  }

  /// The characters that a configuration replaces.
  private enum Characters {
    case quotes, quotesAndDashes, romance, german, spanish, french
  }

  private struct Row {
    var name: String
    var family: Family
    var characters: Characters
    var tokenizer: String
    /// Where the repository stood: of the tokenizer, of the weights, of those without the encoder.
    var revisions: (tokenizer: String, weights: String, open: String)
  }

  /// All names.
  static let names: [String] = rows.map(\.name)

  /// The configuration of a name; nil when it is not known.
  static func named(_ name: String) -> Configuration? {
    rows.first { $0.name == name }.map(configuration)
  }

  /// The name of a configuration that is a known one, word for word.
  static func name(of configuration: Configuration) -> String? {
    names.first { named($0) == configuration }
  }

  /// The voices that each known configuration has.
  static let voices = [
    "alba", "anna", "azelma", "bill_boerst", "caro_davy", "charles", "cosette", "daan", "eponine",
    "estelle", "eve", "fantine", "george", "giovanni", "jane", "javert", "jean", "juergen", "lola",
    "marius", "mary", "michael", "paul", "peter_yearsley", "rafael", "stuart_bell", "vera",
  ]

  /// Where a voice is, as the weights of a known configuration say it.
  static func voicePath(_ voice: String, configuration: String) -> String {
    "hf://kyutai/pocket-tts-without-voice-cloning/languages/\(configuration)/embeddings/"
      + "\(voice).safetensors@" + full("a7056f50")
  }

  private static func configuration(_ row: Row) -> Configuration {
    let isEnglish = row.characters == .quotes || row.characters == .quotesAndDashes
    let usesSentencePiece = [.medium, .small, .tiny].contains(row.family)
    let languages = "languages/\(row.name)/model.safetensors@"
    return Configuration(
      weightsPath: "hf://kyutai/pocket-tts/" + languages + full(row.revisions.weights),
      weightsPathWithoutVoiceCloning: "hf://kyutai/pocket-tts-without-voice-cloning/" + languages
        + full(row.revisions.open),
      padWithSpacesForShortInputs: row.family == .first,
      removeSemicolons: !isEnglish && ["french", "german"].contains { row.name.hasPrefix($0) },
      replaceCharacters: replacements(row.characters),
      defaultEOSThreshold: usesSentencePiece ? -1 : -4,
      flowLM: flowLM(
        row.family,
        tokenizer: "hf://kyutai/pocket-tts-without-voice-cloning/\(row.tokenizer)@"
          + full(row.revisions.tokenizer)),
      mimi: codec(row.family))
  }

  private static func flowLM(_ family: Family, tokenizer: String) -> Configuration.FlowLM {
    typealias Backbone = Configuration.Backbone
    func backbone(
      _ width: Int, heads: Int, layers: Int, scale: Int, attention: Int? = nil, keys: Int? = nil,
      feedForward: Int? = nil
    ) -> Backbone {
      Backbone(
        hiddenScale: scale, maxPeriod: 10000, dModel: width, numHeads: heads, numLayers: layers,
        attnDim: attention, numKVHeads: keys, dimFeedforward: feedForward)
    }
    let (sizes, flow, rank): (Backbone, Configuration.Flow, Int?) =
      switch family {
      case .large, .first:
        (
          backbone(1024, heads: 16, layers: 6, scale: 4),
          Configuration.Flow(dim: 512, depth: 6, type: .lsd), nil
        )
      case .deep:
        (
          backbone(1024, heads: 16, layers: 24, scale: 4),
          Configuration.Flow(dim: 512, depth: 6, type: .lsd), nil
        )
      case .drifting:
        (
          backbone(1024, heads: 16, layers: 6, scale: 4),
          Configuration.Flow(dim: 512, depth: 6, type: .drifting), nil
        )
      case .medium:
        (
          backbone(512, heads: 8, layers: 8, scale: 1),
          Configuration.Flow(dim: 192, depth: 4, type: .drifting), nil
        )
      case .small:
        (
          backbone(224, heads: 8, layers: 8, scale: 1, attention: 512, keys: 2),
          Configuration.Flow(dim: 192, depth: 4, type: .drifting), 64
        )
      case .tiny:
        (
          backbone(
            112, heads: 3, layers: 8, scale: 1, attention: 192, keys: 1, feedForward: 96),
          Configuration.Flow(dim: 64, depth: 4, type: .pointwise), 32
        )
      }
    let isSmall = [.medium, .small, .tiny].contains(family)
    return Configuration.FlowLM(
      dtype: "float32", insertBOSBeforeVoice: family != .first, zDim: isSmall ? 64 : nil,
      flow: flow, transformer: sizes,
      lookupTable: Configuration.LookupTable(
        dim: sizes.dModel, nBins: 4000, rank: rank,
        tokenizer: isSmall ? "sentencepiece" : "tokenizers", tokenizerPath: tokenizer),
      weightsPath: nil)
  }

  private static func codec(_ family: Family) -> Configuration.Codec {
    func network(_ dimension: Int, filters: Int, kernel: Int) -> Configuration.SEANet {
      Configuration.SEANet(
        dimension: dimension, channels: 1, nFilters: filters, nResidualLayers: 1,
        ratios: [6, 5, 4], kernelSize: kernel, residualKernelSize: 3, lastKernelSize: 3,
        dilationBase: 2, padMode: "constant", compress: 2)
    }
    func transformer(
      _ width: Int, heads: Int, layers: Int, context: Int, feedForward: Int
    ) -> Configuration.CodecTransformer {
      Configuration.CodecTransformer(
        dModel: width, inputDimension: width, outputDimensions: [width], numHeads: heads,
        numLayers: layers, layerScale: 0.01, context: context, dimFeedforward: feedForward,
        maxPeriod: 10000)
    }
    let isSmall = [.medium, .small, .tiny].contains(family)
    return Configuration.Codec(
      dtype: "float32", sampleRate: 24000, channels: 1, frameRate: 12.5,
      innerDim: family == .first ? 512 : 32, outerDim: isSmall ? 128 : 512, weightsPath: nil,
      seanet: network(512, filters: 64, kernel: 7),
      decoderSEANet: isSmall
        ? network(128, filters: family == .tiny ? 24 : 32, kernel: 3) : nil,
      transformer: transformer(512, heads: 8, layers: 2, context: 250, feedForward: 2048),
      decoderTransformer: isSmall
        ? transformer(
          128, heads: 4, layers: family == .tiny ? 4 : 12, context: 50, feedForward: 384) : nil,
      quantizerDimension: 32, quantizerOutputDimension: isSmall ? 128 : 512)
  }

  private static func replacements(_ characters: Characters) -> [Configuration.Replacement] {
    func pairs(_ from: String, _ to: String) -> [Configuration.Replacement] {
      from.unicodeScalars.map {
        Configuration.Replacement(character: String($0), replacement: to)
      }
    }
    let quotes = pairs("’‘", "'")
    let romance = quotes + pairs("\"“”„«»()[]", "") + pairs("–", ",")
    return switch characters {
    case .quotes: quotes
    case .quotesAndDashes: quotes + pairs("–—", ",")
    case .romance: romance
    case .german: romance + pairs("—", ",")
    case .spanish: romance + pairs("¡¿", "")
    case .french: romance + pairs(":", ",")
    }
  }

  private static let rows: [Row] = [
    Row(
      name: "dutch", family: .large, characters: .romance,
      tokenizer: "languages/dutch/tokenizer.json",
      revisions: ("4e1e0a3e", "3e82814a", "1e08e6a2")),
    Row(
      name: "dutch_24l", family: .deep, characters: .romance,
      tokenizer: "languages/dutch_24l/tokenizer.json",
      revisions: ("4e1e0a3e", "2dd944b0", "4e1e0a3e")),
    Row(
      name: "english", family: .large, characters: .quotes,
      tokenizer: "languages/english/tokenizer.json",
      revisions: ("00eac05e", "db04f0e6", "a7056f50")),
    Row(
      name: "english_18m_2026-10", family: .medium, characters: .quotesAndDashes,
      tokenizer: "languages/english_18m_2026-10/tokenizer.model",
      revisions: ("08ffc587", "db04f0e6", "a7056f50")),
    Row(
      name: "english_18m_refl_2026-10", family: .medium, characters: .quotesAndDashes,
      tokenizer: "languages/english_18m_refl_2026-10/tokenizer.model",
      revisions: ("08ffc587", "db04f0e6", "a7056f50")),
    Row(
      name: "english_2026-01", family: .first, characters: .quotes,
      tokenizer: "tokenizer.json",
      revisions: ("00eac05e", "39592ff2", "d29db797")),
    Row(
      name: "english_2026-04", family: .large, characters: .quotes,
      tokenizer: "languages/english_2026-04/tokenizer.json",
      revisions: ("00eac05e", "19f95fe2", "d29db797")),
    Row(
      name: "english_2026-04_24l", family: .deep, characters: .quotes,
      tokenizer: "languages/english_2026-04_24l/tokenizer.json",
      revisions: ("00eac05e", "49252265", "e81d79e8")),
    Row(
      name: "english_2026-09", family: .large, characters: .quotes,
      tokenizer: "languages/english_2026-09/tokenizer.json",
      revisions: ("00eac05e", "983151f1", "e7205b6e")),
    Row(
      name: "english_2026-09_2", family: .large, characters: .quotes,
      tokenizer: "languages/english_2026-09/tokenizer.json",
      revisions: ("00eac05e", "7f364c05", "575d1437")),
    Row(
      name: "english_2026-09_24l", family: .deep, characters: .quotes,
      tokenizer: "languages/english_2026-09_24l/tokenizer.json",
      revisions: ("00eac05e", "983151f1", "e7205b6e")),
    Row(
      name: "english_2026-10", family: .large, characters: .quotes,
      tokenizer: "languages/english_2026-09/tokenizer.json",
      revisions: ("00eac05e", "db04f0e6", "a7056f50")),
    Row(
      name: "english_2m_2026-10", family: .tiny, characters: .quotesAndDashes,
      tokenizer: "languages/english_2m_2026-10/tokenizer.model",
      revisions: ("08ffc587", "db04f0e6", "a7056f50")),
    Row(
      name: "english_2m_refl_2026-10", family: .tiny, characters: .quotesAndDashes,
      tokenizer: "languages/english_2m_refl_2026-10/tokenizer.model",
      revisions: ("08ffc587", "db04f0e6", "a7056f50")),
    Row(
      name: "english_7m_2026-10", family: .small, characters: .quotesAndDashes,
      tokenizer: "languages/english_7m_2026-10/tokenizer.model",
      revisions: ("08ffc587", "db04f0e6", "a7056f50")),
    Row(
      name: "english_7m_refl_2026-10", family: .small, characters: .quotesAndDashes,
      tokenizer: "languages/english_7m_refl_2026-10/tokenizer.model",
      revisions: ("08ffc587", "db04f0e6", "a7056f50")),
    Row(
      name: "english_drifting_26-09", family: .drifting, characters: .quotes,
      tokenizer: "languages/english_2026-09/tokenizer.json",
      revisions: ("00eac05e", "75cfe24e", "a5ce31f3")),
    Row(
      name: "french", family: .large, characters: .french,
      tokenizer: "languages/french/tokenizer.json",
      revisions: ("8843db76", "3e82814a", "1e08e6a2")),
    Row(
      name: "french_24l", family: .deep, characters: .french,
      tokenizer: "languages/french_24l/tokenizer.json",
      revisions: ("8843db76", "3e82814a", "1e08e6a2")),
    Row(
      name: "german", family: .large, characters: .german,
      tokenizer: "languages/german/tokenizer.json",
      revisions: ("4e1e0a3e", "3e82814a", "1e08e6a2")),
    Row(
      name: "german_24l", family: .deep, characters: .german,
      tokenizer: "languages/german_24l/tokenizer.json",
      revisions: ("4e1e0a3e", "2dd944b0", "4e1e0a3e")),
    Row(
      name: "italian", family: .large, characters: .romance,
      tokenizer: "languages/italian/tokenizer.json",
      revisions: ("4e1e0a3e", "3e82814a", "1e08e6a2")),
    Row(
      name: "italian_24l", family: .deep, characters: .romance,
      tokenizer: "languages/italian_24l/tokenizer.json",
      revisions: ("4e1e0a3e", "3e82814a", "1e08e6a2")),
    Row(
      name: "portuguese", family: .large, characters: .romance,
      tokenizer: "languages/portuguese/tokenizer.json",
      revisions: ("4e1e0a3e", "3e82814a", "1e08e6a2")),
    Row(
      name: "portuguese_24l", family: .deep, characters: .romance,
      tokenizer: "languages/portuguese_24l/tokenizer.json",
      revisions: ("4e1e0a3e", "2dd944b0", "4e1e0a3e")),
    Row(
      name: "spanish", family: .large, characters: .spanish,
      tokenizer: "languages/spanish/tokenizer.json",
      revisions: ("4e1e0a3e", "3e82814a", "1e08e6a2")),
    Row(
      name: "spanish_24l", family: .deep, characters: .spanish,
      tokenizer: "languages/spanish_24l/tokenizer.json",
      revisions: ("4e1e0a3e", "2dd944b0", "4e1e0a3e")),
  ]

  private static func full(_ revision: String) -> String {
    revisions.first { $0.hasPrefix(revision) } ?? revision
  }

  private static let revisions = [
    "00eac05ed3d16bdc3f6b5d598874019c34a89214",
    "08ffc58775e62aad9409511b9591c9af626270f3",
    "19f95fe2df36e79fbd9f10008595cc4c977a0fcc",
    "1e08e6a23401048648a9fdcfde2f89348215c2a7",
    "2dd944b099d06bb9edbd221fef138685711d9bf0",
    "39592ff23c9ef80098bb74895d104c26275fe2c9",
    "3e82814a68665eec246ff649b14c71331f955c06",
    "492522650173a0653b7575cdc25ae09810e5d741",
    "4e1e0a3e611c51c0b4ed8174fc10f32a54644303",
    "575d14372df89a4534bcb989870a34e77544b09f",
    "75cfe24e3142233bb81887fed3482e9652bb4a6e",
    "7f364c05d1be3faf2b234cdbe4cbb68a026d4218",
    "8843db76457a91db32077edf8dfcd1c0e3e755fd",
    "983151f13aaeab1b13c1e5e3c2c383d49a9edf3f",
    "a5ce31f3eba7a3b0cb9c24ba2015b098f278eaae",
    "a7056f505a4a8ca72d8b5fb1440071d6f1a35739",
    "d29db7978e464fb90cb3359ee0c69a273b9142cc",
    "db04f0e653473e5c7333c69686ac92b7460b0c1d",
    "e7205b6ee50e654a5ea19f0e9df2b0813b05e921",
    "e81d79e8194ad4c7ce879c87a4258ef20cbf2487",
  ]
}
