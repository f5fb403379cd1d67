import Base

extension Configuration {
  /// The configuration as an official YAML file. Keys at their defaults are left out where the
  /// official files leave them out.
  var yaml: String {
    var lines: [String] = []
    func add(_ indent: Int, _ key: String, _ value: (any CustomStringConvertible)?) {
      if let value { lines.append(String(repeating: " ", count: indent) + "\(key): \(value)") }
    }
    func quoted(_ text: String) -> String {
      "\""
        + text.unicodeScalars.map { scalar in
          switch scalar {
          case "\"": "\\\""
          case "\\": "\\\\"
          default:
            scalar.value < 0x20 || scalar.value == 0x7F
              ? "\\x" + String(String(scalar.value + 0x100, radix: 16).dropFirst()) : String(scalar)
          }
        }.joined() + "\""
    }
    add(0, "weights_path", weightsPath.map(quoted))
    add(
      0, "weights_path_without_voice_cloning", weightsPathWithoutVoiceCloning.map(quoted))
    if padWithSpacesForShortInputs { add(0, "pad_with_spaces_for_short_inputs", true) }
    if removeSemicolons { add(0, "remove_semicolons", true) }
    if !appendTerminalPunctuation { add(0, "append_terminal_punctuation", false) }
    if !capitalizeFirstLetter { add(0, "capitalize_first_letter", false) }
    if !replaceCharacters.isEmpty {
      lines.append("replace_characters:")
      for pair in replaceCharacters {
        lines.append("  \(quoted(pair.character)): \(quoted(pair.replacement))")
      }
    }
    add(0, "model_recommended_frames_after_eos", recommendedFramesAfterEOS)
    add(0, "default_temperature", defaultTemperature)
    add(0, "default_eos_threshold", defaultEOSThreshold)
    lines.append("flow_lm:")
    add(2, "dtype", flowLM.dtype)
    add(2, "insert_bos_before_voice", flowLM.insertBOSBeforeVoice)
    add(2, "z_dim", flowLM.zDim)
    add(2, "weights_path", flowLM.weightsPath.map(quoted))
    lines.append("  flow:")
    add(4, "dim", flowLM.flow.dim)
    add(4, "depth", flowLM.flow.depth)
    add(4, "type", flowLM.flow.type.rawValue)
    lines.append("  transformer:")
    add(4, "hidden_scale", flowLM.transformer.hiddenScale)
    add(4, "max_period", flowLM.transformer.maxPeriod)
    add(4, "d_model", flowLM.transformer.dModel)
    add(4, "num_heads", flowLM.transformer.numHeads)
    add(4, "num_layers", flowLM.transformer.numLayers)
    add(4, "attn_dim", flowLM.transformer.attnDim)
    add(4, "num_kv_heads", flowLM.transformer.numKVHeads)
    add(4, "dim_feedforward", flowLM.transformer.dimFeedforward)
    lines.append("  lookup_table:")
    add(4, "dim", flowLM.lookupTable.dim)
    add(4, "n_bins", flowLM.lookupTable.nBins)
    add(4, "rank", flowLM.lookupTable.rank)
    add(4, "tokenizer", flowLM.lookupTable.tokenizer)
    add(4, "tokenizer_path", quoted(flowLM.lookupTable.tokenizerPath))
    lines.append("mimi:")
    add(2, "dtype", mimi.dtype)
    add(2, "sample_rate", mimi.sampleRate)
    add(2, "channels", mimi.channels)
    add(2, "frame_rate", mimi.frameRate)
    add(2, "inner_dim", mimi.innerDim)
    add(2, "outer_dim", mimi.outerDim)
    add(2, "weights_path", mimi.weightsPath.map(quoted))
    func addNetwork(_ key: String, _ s: SEANet) {
      lines.append("  \(key):")
      add(4, "dimension", s.dimension)
      add(4, "channels", s.channels)
      add(4, "n_filters", s.nFilters)
      add(4, "n_residual_layers", s.nResidualLayers)
      add(4, "ratios", s.ratios)
      add(4, "kernel_size", s.kernelSize)
      add(4, "residual_kernel_size", s.residualKernelSize)
      add(4, "last_kernel_size", s.lastKernelSize)
      add(4, "dilation_base", s.dilationBase)
      add(4, "pad_mode", s.padMode)
      add(4, "compress", s.compress)
    }
    func addTransformer(_ key: String, _ t: CodecTransformer) {
      lines.append("  \(key):")
      add(4, "d_model", t.dModel)
      add(4, "input_dimension", t.inputDimension)
      add(4, "output_dimensions", t.outputDimensions)
      add(4, "num_heads", t.numHeads)
      add(4, "num_layers", t.numLayers)
      add(4, "layer_scale", t.layerScale)
      add(4, "context", t.context)
      add(4, "dim_feedforward", t.dimFeedforward)
      add(4, "max_period", t.maxPeriod)
    }
    addNetwork("seanet", mimi.seanet)
    if let network = mimi.decoderSEANet { addNetwork("decoder_seanet", network) }
    addTransformer("transformer", mimi.transformer)
    if let transformer = mimi.decoderTransformer {
      addTransformer("decoder_transformer", transformer)
    }
    lines.append("  quantizer:")
    add(4, "dimension", mimi.quantizerDimension)
    add(4, "output_dimension", mimi.quantizerOutputDimension)
    return lines.joined(separator: "\n") + "\n"
  }
}
