public import ModelInterface

/// Pocket TTS: a language model over continuous Mimi latents with a one-step flow head (Kyutai,
/// package 4.0.1 is the reference).
public enum PocketTTS {
  /// The row for the registry.
  public static let descriptor = ModelDescriptor(
    name: "Pocket TTS",
    recognizes: { PocketTTSModel.recognizes($0) },
    opening: .speech { try PocketTTSModel(path: $0) },
    configurationNames: KnownConfigurations.names,
    initializes: { PocketTTSModel.recognizes($0) },
    initialize: { try initializeModel($0) })
}
