import ArgumentParser
import ModelInterface
import NeuralNetworks
import SpeechTraining
import TrainingTools

/// What the loss is made of, and from which data.
struct LossAndDataOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Probability of leaving out an utterance's text. Default: 0.2, with --distill 0.",
      valueName: "p"))
  var textDropout: Float?

  @Option(
    help: ArgumentHelp(
      "Probability of leaving out its voice prompt. Default: 0.2, with --distill 0.",
      valueName: "p"))
  var voiceDropout: Float?

  @Option(
    help: ArgumentHelp(
      "Probability of computing the distillation term in a micro-batch.", valueName: "p"))
  var distillProb = TrainingOptions().loss.lsd.distillationProbability

  @Option(
    help: ArgumentHelp(
      "Noises and times drawn for each frame; 4 in official recipes.", valueName: "n"))
  var multiplier = TrainingOptions().loss.multiplier

  @Option(help: ArgumentHelp("Weight of the end-of-speech loss.", valueName: "x"))
  var eosWeight = TrainingOptions().loss.endOfSpeechWeight

  @Flag(help: "Hold the whole distillation target constant, not only its parameters.")
  var classicStopGradient = false

  @Option(
    help: ArgumentHelp(
      """
      The way from noise to data: linear, as all released models; or trigonometric, cosine and sine, \
      for models that begin from nothing.
      """, valueName: "name"))
  var path = TrainingOptions().loss.path

  @Option(
    help: ArgumentHelp(
      """
      A setting of the flow loss by its official name, such as num_neg=64 or p_equal=0.75; may be \
      given several times.
      """, valueName: "key=value"))
  var flow: [FlowSetting] = []

  @Flag(
    help:
      "Do not teach the longest utterances of a batch their end, as the official trainer does not."
  )
  var officialEnds = false

  @Option(
    help: ArgumentHelp(
      """
      Latent statistics: model keeps the model's, data takes those of all training latents, ema \
      moves towards the batches of the first 1000 steps.
      """, valueName: "kind"))
  var statistics = TrainingOptions().statistics

  @Option(help: ArgumentHelp("Steps in which --statistics ema moves.", valueName: "n"))
  var statisticsSteps = TrainingOptions().statisticsSteps

  @Option(
    help: ArgumentHelp(
      "How much of the statistics a micro-batch keeps, with --statistics ema.", valueName: "x"))
  var statisticsDecay = TrainingOptions().statisticsDecay

  @Option(
    help: ArgumentHelp(
      "Leave out longer utterances, or cut them where the times of words are known.",
      valueName: "s"))
  var maxSeconds = TrainingOptions().maxSeconds

  @Option(
    help: ArgumentHelp(
      """
      Where voice prompts come from: speaker, another utterance of the same speaker; cut, the \
      beginning of the utterance up to a place between two words with known times, what follows being \
      the target; auto, a cut where the speaker has no other utterance; bank, the speaker's reference \
      in --voice-bank.
      """, valueName: "kind"))
  var prompts = ExampleOptions().prompts

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Records with latents, one reference of each speaker, for --prompts bank.", valueName: "glob")
  )
  var voiceBank: [String] = []

  @Option(
    help: ArgumentHelp(
      "The longest voice prompt; 0: none. Default: 5, with --prompts bank 10.", valueName: "s"))
  var promptSeconds: Double?

  @Option(
    help: ArgumentHelp(
      "Cut up to so much off the end of a voice prompt; 0.5 in official recipes.", valueName: "s"))
  var promptTrim = ExampleOptions().promptTrim

  @Option(
    help: ArgumentHelp(
      "Probability of leaving out a text's final period; 0.3 in official recipes.", valueName: "p")
  )
  var periodDropout = ExampleOptions().periodDropout

  @Option(
    help: ArgumentHelp(
      "Sort so many batches by length before they are cut; 1: not at all.", valueName: "n"))
  var bucketBatches = TrainingOptions().bucketBatches

  func validate() throws {
    try check("text-dropout", Double(textDropout ?? 0), 0...1)
    try check("voice-dropout", Double(voiceDropout ?? 0), 0...1)
    try check("distill-prob", Double(distillProb), 0...1)
    guard distillProb > 0 else { throw ValidationError("--distill-prob must be above 0.") }
    try check("multiplier", multiplier, atLeast: 1)
    guard multiplier <= 1024 else { throw ValidationError("--multiplier must be at most 1024.") }
    try check("statistics-steps", statisticsSteps, atLeast: 0)
    try check("statistics-decay", Double(statisticsDecay), 0...1)
    try check("eos-weight", Double(eosWeight), 0...1000)
    try check("max-seconds", maxSeconds, 0.1...3600)
    try check("prompt-seconds", promptSeconds ?? 0, 0...3600)
    guard (prompts == .bank) == !voiceBank.isEmpty else {
      throw ValidationError("--prompts bank and --voice-bank need one another.")
    }
    try check("prompt-trim", promptTrim, 0...3600)
    try check("period-dropout", Double(periodDropout), 0...1)
    try check("bucket-batches", bucketBatches, atLeast: 1)
    guard bucketBatches <= 4096 else {
      throw ValidationError("--bucket-batches must be at most 4096.")
    }
  }

  /// - Parameter distills: whether a teacher says what is learned; it always knows text and voice.
  func set(_ options: inout TrainingOptions, distills: Bool) {
    let usual = options.loss
    options.loss.textDropout = textDropout ?? (distills ? 0 : usual.textDropout)
    options.loss.voiceDropout = voiceDropout ?? (distills ? 0 : usual.voiceDropout)
    options.loss.lsd.distillationProbability = distillProb
    options.loss.multiplier = multiplier
    options.loss.endOfSpeechWeight = eosWeight
    options.loss.lsd.stopsTargetGradient = classicStopGradient
    options.loss.path = path
    options.loss.teachesEveryEnd = !officialEnds
    for setting in flow { setting.set(&options) }
    options.statistics = statistics
    options.statisticsSteps = statisticsSteps
    options.statisticsDecay = statisticsDecay
    options.maxSeconds = maxSeconds
    options.examples.prompts = prompts
    options.examples.promptSeconds =
      promptSeconds ?? (prompts == .bank ? VoiceBank.seconds : ExampleOptions().promptSeconds)
    options.examples.promptTrim = promptTrim
    options.examples.periodDropout = periodDropout
    options.bucketBatches = bucketBatches
  }
}
