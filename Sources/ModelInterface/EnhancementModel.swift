public import Base
public import Tensors

/// A model that makes recordings better.
public protocol EnhancementModel: Model {
  /// What does it.
  ///
  /// - Parameter precision: how weights are held.
  func enhancer(precision: WeightFormat) throws -> any SpeechEnhancer
  /// The digest of all weights and constants that work with these options computes with; hashes weights, builds
  /// nothing.
  ///
  /// - Throws: `configuration` where the model lacks the part.
  func enhancerDigest(_ options: EnhancementOptions) throws -> SHA256Digest
}
