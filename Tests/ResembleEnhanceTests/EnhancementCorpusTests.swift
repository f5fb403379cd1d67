import Audio
import Base
import ModelInterface
import Tensors
import TestSupport
import Testing

@testable import ResembleEnhance

@Suite struct EnhancementCorpusTests {
  private let folder: ScratchFolder
  private let warnings = Locked<[String]>([])

  /// Twelve recordings of speech in two folders, two of noise, two rooms.
  init() throws {
    folder = try ScratchFolder()
    for number in 0..<12 {
      let name = number < 3 ? "fg/deep/a\(number).FLAC" : "fg/b\(number).wav"
      try record(name, seconds: 0.1 + 0.02 * Double(number), rate: number == 5 ? 22_050 : 44_100)
    }
    try record("bg/noise.wav", seconds: 0.3, rate: 48_000)
    try record("bg/short.wav", seconds: 0.02)
    try folder.write("no audio", to: "fg/readme.txt")
    try folder.write("hidden", to: "fg/.b1.wav")
    try folder.write(
      numPyArray("<f4", "(1, 4)", bytes([0, 1, 0.5, -0.2] as [Float])), to: "rir/one.npy")
    try record("rir/two.wav", seconds: 0.05)
  }

  private func record(_ name: String, seconds: Double, rate: Int = 44_100) throws {
    var random = RandomNumbers(seed: 1, name: name)
    let count = Int(seconds * Double(rate))
    let noise = random.normal(count)
    var (samples, last) = ([Float](), Float(0))
    for index in 0..<count {
      last = 0.9 * last + 0.1 * noise[index]
      samples.append(last)
    }
    let isFLAC = name.lowercased().hasSuffix("flac")
    try folder.write([], to: name)
    let writer = try AudioFileWriter(
      path: folder.file(name), format: isFLAC ? .flac : .wav16, rate: rate, channels: 2)
    try writer.write([samples, samples.map { -0.3 * $0 }])
    try writer.finish()
  }

  private func options(_ stage: EnhancementStage) -> CorpusOptions {
    var options = CorpusOptions(stage: stage)
    options.foreground = folder.file("fg")
    options.background = folder.file("bg")
    options.rooms = folder.file("rir")
    options.samples = 3000
    options.rows = 3
    return options
  }

  private func corpus(_ options: CorpusOptions) throws -> EnhancementCorpus {
    let warnings = warnings
    return try EnhancementCorpus(options) { line in warnings.withLock { $0.append(line) } }
  }

  private func equal(_ one: EnhancementBatch, _ other: EnhancementBatch) -> Bool {
    one.input.values == other.input.values && one.target.values == other.target.values
      && one.denoised?.values == other.denoised?.values
  }

  // MARK: Recordings

  /// A part of a recording is what the whole has there, whatever the rates.
  @Test(arguments: [8000, 22_050, 44_100, 48_000, 96_000])
  func partsAreThoseOfTheWhole(rate: Int) throws {
    for name in ["part.wav", "part.flac"] {
      try record(name, seconds: 0.5, rate: rate)
      let file = try AudioFile(path: folder.file(name))
      let whole = try resampled(mono(file.readAll()), from: rate, to: 44_100)
      let recording = try Recording(path: folder.file(name))
      #expect(recording.count == whole.count && whole.count == 22_050)
      for (start, count) in [(0, 100), (1, 5000), (7777, 3000), (20_000, 5000), (22_049, 9)] {
        let part = try recording.samples(from: start, count: count)
        #expect(part == Array(whole.dropFirst(start).prefix(count)), "\(start)")
      }
      #expect(try recording.samples(from: 0, count: 1 << 30) == whole)
      #expect(try recording.samples(from: 22_050, count: 5).isEmpty)
    }
  }

  @Test func damagedRecordingsAreRefused() throws {
    try folder.write([], to: "empty.wav")
    try folder.write(WAVWriter.header(rate: 44_100, frames: 0), to: "none.wav")
    try folder.write(
      WAVWriter.header(rate: 44_100, encoding: .float32, frames: 3)
        + bytes([0, .nan, 0] as [Float]), to: "nan.wav")
    for name in ["empty.wav", "none.wav", "nan.wav"] {
      let path = folder.file(name)
      let failure = #expect(throws: Failure.self) {
        _ = try Recording(path: path).samples(from: 0, count: 3)
      }
      #expect(failure?.kind == .badInput && failure?.subject == path)
    }
  }

  // MARK: Samples

  @Test func aSampleFollowsFromItsNumberAndSeed() throws {
    for stage in EnhancementStage.allCases {
      let one = try corpus(options(stage))
      let other = try corpus(options(stage))
      #expect(one.count == 2)
      let batches = try (0..<6).map { try one.batch(number: $0, seed: 7) }
      // In another order, by another object, in parallel, in parts.
      for number in (0..<6).reversed() {
        let again = try other.batch(number: number, seed: 7, isParallel: true)
        #expect(equal(again, batches[number]), "\(stage) \(number)")
      }
      let row = try other.batch(number: 4, seed: 7, rows: 1..<2)
      #expect(row.input.values == Array(batches[4].input.values[3000..<6000]))
      #expect(try !equal(other.batch(number: 0, seed: 8), batches[0]))
      #expect(!equal(batches[0], batches[1]))
      for batch in batches {
        #expect(batch.input.shape == [3, 3000] && batch.target.shape == [3, 3000])
        for row in 0..<3 {
          let peak = batch.input.values[row * 3000..<(row + 1) * 3000].map { abs($0) }.max() ?? 0
          #expect(abs(peak - 1) < 1e-5)
        }
      }
    }
    #expect(warnings.withLock { $0 }.isEmpty)
  }

  @Test func stagesGetWhatTheyLearnFrom() throws {
    let clean = try corpus(options(.autoencoder)).batch(number: 3, seed: 1)
    #expect(clean.input.values == clean.target.values && clean.denoised == nil)

    // The same number and seed give the same speech, whatever is done to it.
    let flow = try corpus(options(.flow)).batch(number: 3, seed: 1)
    #expect(flow.target.values == clean.target.values)
    #expect(flow.denoised?.shape == [3, 3000] && flow.denoised?.values != flow.target.values)

    var denoising = options(.denoiser)
    denoising.distortion = 0
    let plain = try corpus(denoising).batch(number: 3, seed: 1)
    #expect(plain.target.values == clean.target.values && plain.denoised == nil)
    denoising.distortion = 1
    let distorted = try corpus(denoising).batch(number: 3, seed: 1)
    #expect(distorted.target.values != clean.target.values)
    // Nothing but noise, and nothing but speech.
    denoising.alphas = 0...0
    let noise = try corpus(denoising).batch(number: 3, seed: 1)
    denoising.distortion = 0
    #expect(try corpus(denoising).batch(number: 3, seed: 1).input.values == noise.input.values)
    denoising.alphas = 1...1
    let speech = try corpus(denoising).batch(number: 3, seed: 1)
    #expect(largestDifference(speech.input.values, speech.target.values) < 3e-6)
  }

  @Test func drawsOfABatchAreThoseOfThePackage() throws {
    var denoising = options(.denoiser)
    denoising.samples = 1260
    denoising.rows = 1
    let one = try corpus(denoising)
    denoising.distortion = 0
    let clean = try corpus(denoising)
    let kept = try (0..<200).count {
      try one.batch(number: $0, seed: 3).target.values
        == clean.batch(number: $0, seed: 3).target.values
    }
    // One half, and one in 64 of the other, and the silent ones.
    #expect((80...130).contains(kept), "\(kept)")
  }

  @Test func oneInAHundredIsSilent() throws {
    var flow = options(.flow)
    flow.samples = 1260
    let one = try corpus(flow)
    let silent = try (0..<2000).filter {
      try one.sample(number: $0, seed: 5, distortsForeground: false).foreground
        .allSatisfy { $0 == 0 }
    }
    #expect((6...38).contains(silent.count), "\(silent.count)")
    // Silence stays silent, but not as the package does it.
    flow.followsPackage = true
    let package = try corpus(flow)
    var loud = 0
    for number in silent {
      let quiet = try one.sample(number: number, seed: 5, distortsForeground: true)
      #expect(quiet.distortedForeground?.allSatisfy { $0 == 0 } == true)
      let sample = try package.sample(number: number, seed: 5, distortsForeground: true)
      if sample.distortedForeground?.contains(where: { abs($0) > 0.9 }) == true { loud += 1 }
    }
    #expect(loud > 0 && loud < silent.count)
    let batch = try one.batch(number: silent[0] / 3, seed: 5)
    #expect(batch.input.values.allSatisfy { $0.isFinite })
  }

  @Test func everyRecordingComesOnceAnEpoch() throws {
    for number in 12..<22 { try record("fg/c\(number).wav", seconds: 0.1) }
    let one = try corpus(options(.autoencoder))
    #expect(one.count == 12)
    let epochs = try (0..<2).map { epoch in
      try (0..<12).map { place in
        try one.sample(number: 12 * epoch + place, seed: 2, distortsForeground: false).foreground
      }
    }
    // Crops differ between epochs, what they are taken from does not: no two of one epoch are alike.
    for epoch in epochs { #expect(Set(epoch).count >= 11) }
    #expect(epochs[0] != epochs[1])
  }

  // MARK: Validation

  @Test func validationIsTheSameForAllSeedsAndNotTrainedOn() throws {
    let clean = try corpus(options(.autoencoder))
    let denoiser = try corpus(options(.denoiser))
    let flow = try corpus(options(.flow))
    var lengths = Set<Int>()
    for index in 0..<EnhancementCorpus.validationCount {
      let one = try clean.validation(index)
      #expect(one.input.values == one.target.values && one.input.shape[0] == 1)
      lengths.insert(one.input.columns)
      let other = try denoiser.validation(index)
      let last = try flow.validation(index)
      // The denoiser is judged by what it hears, the flow by clean speech, of which alone is heard.
      #expect(last.target.values == one.target.values)
      #expect(last.denoised?.values == other.target.values)
      #expect(other.target.values != one.target.values)
      #expect(last.input.values != other.input.values)
      #expect(try equal(flow.validation(index), last))
    }
    // All lengths differ: ten files of the twelve.
    #expect(lengths.count == 10)
    var short = options(.denoiser)
    short.longestValidation = 2000
    #expect(try corpus(short).validation(0).input.columns == 2000)
    short.followsPackage = true
    #expect(try corpus(short).validation(0).input.columns > 2000)
  }

  /// Computed by hand: the first room, a reverb, a mixture of halves.
  @Test func validationIsDistortedAsThePackageDoes() throws {
    var package = options(.denoiser)
    package.followsPackage = true
    let one = try corpus(package)
    let clean = try corpus(options(.autoencoder)).validation(3).target.values
    let room = try RoomResponse(taps: [0, 1, 0.5, -0.2].map { Double(Float($0)) }, name: "")
    func distorted(_ samples: [Float]) -> [Float] {
      peakNormalized(
        SoX.reverb(
          room.apply(to: samples, asPackage: true), reverberance: 50, damping: 50, roomScale: 50))
    }
    let noise = try Recording(path: folder.file("bg/short.wav"))
      .samples(from: 0, count: clean.count)
    let background = peakNormalized(
      noise + [Float](repeating: 0, count: clean.count - noise.count))
    let batch = try one.validation(3)
    #expect(batch.target.values == distorted(clean))
    #expect(
      batch.input.values == mixture(distorted(clean), distorted(background), alpha: 0.5))
  }

  // MARK: What is wrong

  @Test func badFilesAreReplacedAndWarnedOfOnce() throws {
    let before = try corpus(options(.flow)).batch(number: 0, seed: 1)
    try folder.write("no audio at all", to: "bg/broken.wav")
    try folder.write("no array", to: "rir/broken.npy")
    let one = try corpus(options(.flow))
    let batches = try (0..<8).map { try one.batch(number: $0, seed: 1) }
    let lines = warnings.withLock { $0 }
    #expect(lines.count == 2)
    for name in ["bg/broken.wav", "rir/broken.npy"] {
      #expect(lines.count { $0.hasPrefix(folder.file(name)) } == 1, "\(lines)")
    }
    #expect(lines.allSatisfy { $0.contains("other files are taken instead") })
    let again = try corpus(options(.flow))
    for number in 0..<8 {
      #expect(try equal(again.batch(number: number, seed: 1), batches[number]))
    }
    #expect(before.input.shape == batches[0].input.shape)

    // Nothing that could be read.
    try folder.write("nor this", to: "bg/noise.wav")
    try folder.write("nor this", to: "bg/short.wav")
    let failure = #expect(throws: Failure.self) { try one.batch(number: 1, seed: 1) }
    #expect(failure?.kind == .badInput && failure?.problem.hasPrefix("100 samples") == true)
    #expect(throws: Failure.self) { try one.validation(0) }
  }

  @Test func anUnreadableValidationFileIsReplaced() throws {
    let one = try corpus(options(.autoencoder))
    let all = try (0..<10).map { try one.validation($0).input.values }
    // Whichever file the fourth is: the one whose loss changes it alone.
    for number in 3..<12 {
      let name = "fg/b\(number).wav"
      let content = try folder.read(name)
      try folder.write("gone", to: name)
      let now = try (0..<10).map { try one.validation($0).input.values }
      let changed = (0..<10).filter { now[$0] != all[$0] }
      #expect(changed.count <= 1)
      for index in changed { #expect(now[index] == all[(index + 1) % 10]) }
      try folder.write(content, to: name)
    }
  }

  @Test func foldersWithTooLittleAreNamed() throws {
    func problem(_ change: (inout CorpusOptions) -> Void, _ stage: EnhancementStage = .flow)
      -> Failure?
    {
      var options = options(stage)
      change(&options)
      return #expect(throws: Failure.self) { try corpus(options) }
    }
    try folder.write("x", to: "none/readme.txt")
    let none = folder.file("none")
    for change: (inout CorpusOptions) -> Void in [
      { $0.foreground = none }, { $0.background = none }, { $0.rooms = none },
    ] {
      let failure = problem(change)
      #expect(failure?.subject == none && failure?.problem.hasPrefix("no ") == true)
      #expect(failure?.kind == .badInput)
    }
    let few = problem { $0.foreground = $0.background }
    #expect(few?.problem == "only 2 recordings of clean speech (.flac, .wav) there")
    #expect(few?.remedy == "give a folder with at least 11")
    let missing = problem { $0.rooms = "\(none)/there" }
    #expect(missing?.kind == .noInput && missing?.subject == "\(none)/there")
    // Stage 1 needs none of these.
    var clean = options(.autoencoder)
    (clean.background, clean.rooms) = (none, "nowhere")
    _ = try corpus(clean)
  }

  @Test func digestTellsCorporaApart() throws {
    let first = try corpus(options(.flow)).digest()
    #expect(try corpus(options(.flow)).digest() == first)
    #expect(try corpus(options(.autoencoder)).digest() != first)
    try folder.write("12345", to: "rir/more.npy")
    let more = try corpus(options(.flow)).digest()
    #expect(more != first)
    try folder.write("123456", to: "rir/more.npy")
    #expect(try corpus(options(.flow)).digest() != more)
    let moved = try ScratchFolder()
    var elsewhere = options(.flow)
    elsewhere.rooms = moved.file("rir")
    for name in ["more.npy", "one.npy", "two.wav"] {
      try moved.write(folder.read("rir/\(name)"), to: "rir/\(name)")
    }
    #expect(try corpus(elsewhere).digest() == corpus(options(.flow)).digest())
  }

  // MARK: Options

  private func read(_ yaml: String, _ stage: EnhancementStage = .flow) throws -> CorpusOptions {
    let part = stage == .denoiser ? Part.denoiser : .enhancer
    return try CorpusOptions(
      HyperParameters(yaml: yaml, part: part, file: "h.yaml"), stage: stage, file: "h.yaml")
  }

  @Test func hyperParametersSayHow() throws {
    let stage2 = try read(
      "praat_augment_prob: 0.2\ntraining_seconds: 3.0\nbatch_size_per_gpu: 32\nfg_dir: speech\n"
        + "mix_alpha_range: [0.1, 0.9]")
    #expect(stage2.samples == 132_300 && stage2.rows == 32 && stage2.alphas == 0.1...0.9)
    #expect(stage2.foreground == "speech" && stage2.background == "data/bg")
    #expect(stage2.voiceChange == 0.2)
    #expect(try read("distort_prob: 0.25", .denoiser).distortion == 0.25)
    #expect(try read("nj: 1", .denoiser) == CorpusOptions(stage: .denoiser))

    // Named, since it is left out.
    var changing = options(.flow)
    changing.voiceChange = 0.2
    _ = try corpus(changing)
    #expect(warnings.withLock { $0 }.count == 1)
    #expect(warnings.withLock { $0 }[0].hasPrefix("'praat_augment_prob' is 0.2:"))
  }

  @Test(arguments: [
    "wav_rate: 48000", "training_seconds: 0", "training_seconds: 1000", "batch_size_per_gpu: 0",
    "batch_size_per_gpu: 99999", "mix_alpha_range: [0.9, 0.1]", "mix_alpha_range: [-1, 0.5]",
    "distort_prob: 1.5", "praat_augment_prob: -1",
  ])
  func whatCannotBeDoneIsNamed(yaml: String) {
    let failure = #expect(throws: Failure.self) { try read(yaml, .denoiser) }
    #expect(failure?.kind == .configuration && failure?.subject == "h.yaml")
    let key = yaml.prefix { $0 != ":" }
    #expect(failure?.problem.hasPrefix("'\(key)' is") == true)
  }
}
