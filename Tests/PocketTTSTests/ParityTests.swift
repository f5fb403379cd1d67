import Base
import Mimi
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors
import TestSupport
import Testing
import Text

@testable import PocketTTS

@Suite struct ParityTests {
  private func mimi(_ model: PocketTTSModel) throws -> Mimi {
    let weights = try model.files.mimi(packing: .float32)
    let mimi = try Mimi(weights, model.configuration.codec)
    try weights.requireAllUsed()
    return mimi
  }

  private func flowLM(
    _ model: PocketTTSModel, packing: WeightFormat? = .float32
  ) throws -> FlowLM {
    let weights = try model.files.flowLM(packing: packing)
    let flowLM = try FlowLM(weights, model.configuration)
    try weights.requireAllUsed()
    return flowLM
  }

  @Test(arguments: inferenceKinds) func mimiEncodes(_ kind: String) throws {
    let fixture = try ModelFixture(kind)
    let mimi = try mimi(fixture.model)
    let audio = try fixture.floats("mimi.encode.audio")
    let frame = mimi.frameSize
    let padded = audio + [Float](repeating: 0, count: (frame - audio.count % frame) % frame)
    var state = mimi.initialEncoderState()
    let activations = mimi.encode(Tensor(padded, shape: [padded.count, 1]), state: &state)
    for (name, tensor) in [
      ("seanet", activations.network), ("transformer", activations.transformer),
      ("latents", activations.latents),
    ] {
      assertClose(
        tensor.values, try fixture.floats("mimi.encode.\(name)"),
        tolerance: activationTolerance, name)
    }
    // In any pieces it is the same.
    var encoder = mimi.makeEncoder()
    var pieces: [Tensor] = []
    for start in stride(from: 0, to: audio.count, by: 2500) {
      pieces.append(encoder.encode(Array(audio[start..<min(start + 2500, audio.count)])))
    }
    pieces.append(encoder.finish())
    assertClose(
      concatenateRows(pieces).values, activations.latents.values, tolerance: 1e-5, "streamed")
  }

  @Test(arguments: inferenceKinds) func mimiDecodes(_ kind: String) throws {
    let fixture = try ModelFixture(kind)
    let mimi = try mimi(fixture.model)
    let latents = try fixture.tensor("mimi.decode.latents")
    var state = mimi.initialDecoderState()
    let activations = mimi.decode(latents, state: &state)
    for (name, tensor) in [
      ("upsample", activations.upsampled), ("transformer", activations.transformer),
      ("audio", activations.waveform),
    ] {
      assertClose(
        tensor.values, try fixture.floats("mimi.decode.\(name)"),
        tolerance: activationTolerance, name)
    }
    let expected = try fixture.floats("mimi.decode.audio")
    for pieces in [[1, 3, 2], [1, 1, 1, 1, 1, 1]] {
      var decoder = mimi.makeDecoder()
      var (audio, frame): ([Float], Int) = ([], 0)
      for count in pieces {
        audio += decoder.decode(latents.rows(frame..<frame + count))
        frame += count
      }
      assertClose(audio, expected, tolerance: activationTolerance, "in pieces \(pieces)")
    }
  }

  @Test(arguments: inferenceKinds) func backboneAgrees(_ kind: String) throws {
    let fixture = try ModelFixture(kind)
    let flowLM = try flowLM(fixture.model)
    let voice = flowLM.embed(voice: try fixture.tensor("backbone.voice"))
    let tokens = flowLM.embed(tokens: try fixture.integers("backbone.tokens").map { Int32($0) })
    let input = concatenateRows([flowLM.bosBeforeVoice, voice, tokens].compactMap(\.self))
    assertClose(
      input.values, try fixture.floats("backbone.input"), tolerance: activationTolerance, "input")
    let latents = concatenateRows([
      flowLM.bos.reshaped([1, 32]), try fixture.tensor("backbone.latents"),
    ])
    // All at once, and one step after the other.
    var state = flowLM.transformer.initialState()
    flowLM.transformer.remember(input, state: &state)
    var stepped = state
    let whole = flowLM.hidden(
      flowLM.transformer(flowLM.embed(latents: latents), state: &state))
    let hidden = try fixture.floats("backbone.hidden")
    let eos = try fixture.floats("backbone.eos")
    assertClose(whole.values, hidden, tolerance: activationTolerance, "hidden")
    assertClose(
      flowLM.endOfSpeechLogits(whole).values, eos, tolerance: activationTolerance, "eos")
    var steps: [Tensor] = []
    for row in 0..<latents.rows {
      let x = flowLM.embed(latents: latents.rows(row..<row + 1))
      steps.append(
        flowLM.hidden(flowLM.transformer(x, state: &stepped)))
    }
    assertClose(
      concatenateRows(steps).values, hidden, tolerance: activationTolerance, "hidden, stepped")
    // As training computes it.
    let sequence = concatenateRows([input, flowLM.embed(latents: latents)])
    let trained = try self.flowLM(fixture.model, packing: nil)
    let recorded = trained.hidden(
      trained.transformer.sequences(sequence, positions: sequence.rows))
    assertClose(
      recorded.rows(input.rows..<sequence.rows).values, hidden, tolerance: activationTolerance,
      "hidden, as a sequence")
  }

  @Test(arguments: inferenceKinds) func headAgrees(_ kind: String) throws {
    let fixture = try ModelFixture(kind)
    for packing in [nil, WeightFormat.float32] {
      try check(try flowLM(fixture.model, packing: packing).head, fixture)
    }
  }

  private func check(_ head: FlowHead, _ fixture: ModelFixture) throws {
    let z = try fixture.tensor("head.z")
    let noise = try fixture.tensor("head.noise")
    let (s, t) = (try fixture.tensor("head.s"), try fixture.tensor("head.t"))
    let times: [Tensor] =
      switch head.type {
      case .lsd: [s, t]
      case .flowMatching: [t]
      case .drifting, .pointwise: []
      }
    let velocity = head(
      z, time: head.timeCondition(times.map { $0.reshaped([$0.count, 1]) }), noise)
    assertClose(
      velocity.values, try fixture.floats("head.velocity"), tolerance: activationTolerance)
    for steps in 1...3 {
      let sample = head.sample(z, noise: noise, times: head.stepTimes(steps))
      assertClose(
        sample.values, try fixture.floats("head.sample.\(steps)"),
        tolerance: activationTolerance, "\(steps) steps")
    }
  }

  @Test(arguments: inferenceKinds + ["separate"]) func speechAgrees(_ kind: String) throws {
    // The separate older files hold the weights of lsd.
    let fixture = try ModelFixture(kind == "separate" ? "lsd" : kind)
    let model = try PocketTTSModel(path: TestSupport.fixture("PocketTTS/\(kind)"))
    let tolerance = kind == "separate" ? 2e-2 : activationTolerance
    let generator = Generator(
      flowLM: try flowLM(model), mimi: try mimi(model), tokenizer: try model.tokenizer(),
      clonesVoices: true, path: kind)
    let prompt = try fixture.floats("prompt.audio")
    let latents = generator.encodeVoice(prompt)
    assertClose(
      latents.values, try fixture.floats("prompt.latents"), tolerance: tolerance, "voice")
    let voice = generator.voice(latents: latents)
    for speech in fixture.facts["speech"]?.array ?? [] {
      let name = try #require(speech["name"]?.string)
      var options = GenerationOptions(temperature: 0, endOfSpeechThreshold: 1e9)
      options.maxFrames = Int(try #require(speech["frames_cap"]?.integer))
      options.maxTokens = Int(try #require(speech["max_tokens"]?.integer))
      var audio: [Float] = []
      let summary = try generator.speak(
        try #require(speech["text"]?.string), voice: voice, options: options, name: "test"
      ) { audio += $0 }
      // What is fed back multiplies rounding from frame to frame (14 frames of `pointwise` make 2e-4
      // of 2e-7), so whole speech is held to its correlation; each part is held to the tolerance above.
      let expected = try fixture.floats("speech.\(name).audio")
      assertClose(audio, expected, tolerance: max(tolerance, 1e-3), name)
      if kind != "separate" { #expect(correlation(audio, expected) > 0.999999, "\(name)") }
      #expect(summary.pieces == speech["chunks"]?.array?.count)
      #expect(summary.endlessPieces == summary.pieces)
    }
    guard kind != "separate", let end = fixture.facts["eos"] else { return }
    for step in end["steps"]?.array ?? [] {
      var options = GenerationOptions(temperature: 0)
      options.endOfSpeechThreshold = Float(try #require(end["threshold"]?.double))
      options.maxFrames = Int(try #require(end["frames_cap"]?.integer))
      options.framesAfterEnd = step["frames_after_eos"]?.integer.map { Int($0) }
      var count = 0
      let summary = try generator.speak(
        try #require(end["text"]?.string), voice: voice, options: options, name: "test"
      ) { count += $0.count }
      #expect(summary.frames == Int(try #require(step["frames"]?.integer)))
      #expect(count == summary.frames * generator.mimi.frameSize)
    }
  }

  @Test func exportedVoicesAgree() throws {
    let fixture = try ModelFixture("lsd")
    let path = TestSupport.fixture("PocketTTS/lsd/voice.safetensors")
    let flowLM = try flowLM(fixture.model)
    let generator = Generator(
      flowLM: flowLM, mimi: try mimi(fixture.model), tokenizer: try fixture.model.tokenizer(),
      clonesVoices: true, path: "lsd")
    let official = try #require(try generator.voice(file: path) as? VoiceState)
    let ours = generator.voice(latents: try fixture.tensor("prompt.latents"))
    #expect(official.positions == ours.positions)
    for (a, b) in zip(ours.state.caches, official.state.caches) {
      assertClose(
        a.contents.keys.values, b.contents.keys.values, tolerance: activationTolerance, "keys")
      assertClose(
        a.contents.values.values, b.contents.values.values, tolerance: activationTolerance,
        "values")
    }
    let scratch = try ScratchFolder()
    try official.write(to: scratch.file("voice.safetensors"))
    let (written, original) = (
      try SafetensorsFile(path: scratch.file("voice.safetensors")),
      try SafetensorsFile(path: path)
    )
    #expect(written.names == original.names)
    for name in original.names {
      #expect(try written.array(name) == original.array(name))
    }
  }
}
