// swift-tools-version: 6.1
import PackageDescription

// The layers of the project, lowest first: a row names only rows above it. `make lint` refuses an
// import that a row does not allow.

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let flyingFox = Target.Dependency.product(name: "FlyingFox", package: "FlyingFox")
let flyingSocks = Target.Dependency.product(name: "FlyingSocks", package: "FlyingFox")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

/// System libraries: folder, pkg-config name (none where its flags are more than paths, which are refused),
/// Debian package.
let systemLibraries: [(name: String, pkgConfig: String?, debian: String)] = [
  ("CSndfile", "sndfile", "libsndfile1-dev"),
  ("CSamplerate", "samplerate", "libsamplerate0-dev"),
  ("CKissFFT", nil, "libkissfft-dev"),
  ("CXXHash", "libxxhash", "libxxhash-dev"),
  ("CZstd", "libzstd", "libzstd-dev"),
]

/// C and C++ of our own.
let cModules = ["CKernels", "CSentencePiece", "CCurl", "CMPI"]

/// Models: folders of `Sources/Models`. Target, tests and the registry's dependency follow from the name.
let models = ["PocketTTS", "ResembleEnhance"]

let modules: [(name: String, needs: [Target.Dependency])] = [
  ("Base", [crypto]),
  ("Fourier", ["Base", "CKissFFT"]),
  ("Tensors", ["Base", "CKernels"]),
  ("Audio", ["Base", "Fourier", "CSndfile", "CSamplerate"]),
  ("Text", ["Base", "CSentencePiece"]),
  ("Safetensors", ["Base"]),
  ("Pickles", ["Base", "Safetensors"]),
  ("Records", ["Base", "Safetensors", "CZstd", "CXXHash"]),
  ("Hub", ["Base", "CCurl", crypto]),
  ("Processes", ["Base", "CMPI"]),
  ("NeuralNetworks", ["Base", "Fourier", "Tensors", "Safetensors"]),
  ("AudioRecords", ["Base", "Audio", "Safetensors", "Records"]),
  ("Filters", ["Base", "Safetensors", "Records", argumentParser]),
  (
    "ModelInterface",
    [
      "Base", "Tensors", "Safetensors", "Pickles", "NeuralNetworks", "Audio", "Text", "Records",
    ]
  ),
  ("Mimi", ["Base", "Tensors", "NeuralNetworks", "ModelInterface", "Audio"]),
  (
    "Training",
    ["Base", "Tensors", "Audio", "NeuralNetworks", "Safetensors", "Records", "Processes"]
  ),
  (
    "SpeechTraining",
    [
      "Base", "Tensors", "NeuralNetworks", "Safetensors", "Records", "Processes",
      "ModelInterface", "Text", "Training", yams,
    ]
  ),
  ("Server", ["Base", "Audio", "ModelInterface", flyingFox, flyingSocks]),
]

/// What a model may import.
let modelNeeds: [Target.Dependency] = [
  "Base", "Fourier", "Tensors", "Audio", "Text", "Safetensors", "Pickles", "Hub", "NeuralNetworks",
  "ModelInterface", "Mimi", "Processes", "Training", yams,
]

let registry: (name: String, needs: [Target.Dependency]) = (
  "ModelRegistry",
  ["Base", "Pickles", "ModelInterface", "Training"] + models.map { .target(name: $0) }
)

/// What the tools that speak have in common.
let speaking: (name: String, needs: [Target.Dependency]) = (
  "Speaking",
  ["Base", "Records", "Filters", "Tensors", "ModelInterface", "ModelRegistry", argumentParser]
)

/// What the tools that train have in common.
let trainingTools: (name: String, needs: [Target.Dependency]) = (
  "TrainingTools", ["Base", "Filters", "Processes", "Training", "ModelInterface", argumentParser]
)

let tools: [(name: String, needs: [Target.Dependency])] = [
  ("tts-import", ["Base", "Records", "Safetensors", "Audio", "AudioRecords"]),
  ("tts-resample", ["Base", "Records", "Safetensors", "Audio", "AudioRecords"]),
  ("tts-vad", ["Base", "Records", "Safetensors", "Audio", "AudioRecords"]),
  ("tts-tokenize", ["Base", "Records", "Safetensors", "Text", "ModelInterface", "ModelRegistry"]),
  (
    "tts-mimi-encode",
    [
      "Base", "Records", "Safetensors", "Audio", "AudioRecords", "Tensors", "ModelInterface",
      "ModelRegistry",
    ]
  ),
  (
    "tts-enhance",
    [
      "Base", "Records", "Safetensors", "Audio", "AudioRecords", "Tensors", "ModelInterface",
      "ModelRegistry", "Training", "TrainingTools",
    ]
  ),
  ("tts-shard", ["Base", "Records", "Safetensors"]),
  (
    "tts-train",
    [
      "Base", "Records", "Safetensors", "Tensors", "NeuralNetworks", "Training",
      "SpeechTraining", "ModelInterface", "ModelRegistry", "TrainingTools",
    ]
  ),
  (
    "tts-synth",
    [
      "Base", "Records", "Safetensors", "Audio", "AudioRecords", "Tensors", "ModelInterface",
      "Server", "ModelRegistry", "Speaking",
    ]
  ),
  (
    "tts-eval",
    [
      "Base", "Records", "Safetensors", "Audio", "AudioRecords", "Text", "Tensors",
      "ModelInterface", "ModelRegistry", "Speaking",
    ]
  ),
  ("tts-stream", ["Base", "Records", "Safetensors", "Audio"]),
  (
    "tts-model",
    [
      "Base", "Safetensors", "Pickles", "Audio", "Tensors", "Hub", "Training", "SpeechTraining",
      "ModelInterface", "ModelRegistry",
    ]
  ),
]

let swiftSettings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

var targets: [Target] = systemLibraries.map {
  .systemLibrary(name: $0.name, pkgConfig: $0.pkgConfig, providers: [.apt([$0.debian])])
}
targets += cModules.map { name in
  .target(
    name: name,
    cSettings: [.unsafeFlags(["-O3", "-fno-math-errno"])],
    cxxSettings: [.unsafeFlags(["-fexceptions"])],
    linkerSettings: name == "CSentencePiece"
      ? [.linkedLibrary("sentencepiece"), .linkedLibrary("sentencepiece_train")] : [])
}
targets += modules.map {
  .target(name: $0.name, dependencies: $0.needs, swiftSettings: swiftSettings)
}
targets += models.map {
  .target(
    name: $0, dependencies: modelNeeds, path: "Sources/Models/\($0)", swiftSettings: swiftSettings)
}
for row in [registry, speaking, trainingTools] {
  targets.append(.target(name: row.name, dependencies: row.needs, swiftSettings: swiftSettings))
}
targets += tools.map {
  .executableTarget(
    name: $0.name, dependencies: ["Filters", argumentParser] + $0.needs,
    swiftSettings: swiftSettings)
}

/// `make bench`: our side of the comparison.
targets.append(.target(name: "CMachine", path: "Tests/Benchmarks/CMachine"))
targets.append(
  .executableTarget(
    name: "tts-bench",
    dependencies: [
      "CMachine", "Base", "Tensors", "NeuralNetworks", "ModelInterface", "Mimi", "Training",
      "SpeechTraining", "PocketTTS", "ResembleEnhance", argumentParser,
    ], path: "Tests/Benchmarks/tts-bench", swiftSettings: swiftSettings))

/// Modules with a folder `Tests/NAMETests`; `ToolTests` runs the built programs.
let tested: Set = [
  "Base", "Fourier", "Tensors", "Audio", "Text", "Safetensors", "Pickles", "Records", "Hub",
  "NeuralNetworks", "Filters", "Training", "SpeechTraining", "Server", "PocketTTS",
  "ResembleEnhance",
]
let testSupport: Target.Dependency = "TestSupport"
targets.append(
  .target(
    name: "TestSupport", dependencies: ["Base", "Safetensors", "Records", "Processes", "Training"],
    path: "Tests/TestSupport", swiftSettings: swiftSettings))
for row in modules + models.map({ (name: $0, needs: modelNeeds) })
where tested.contains(row.name) {
  targets.append(
    .testTarget(
      name: "\(row.name)Tests",
      dependencies: [.target(name: row.name), testSupport] + row.needs,
      path: "Tests/\(row.name)Tests", swiftSettings: swiftSettings))
}
targets.append(
  .testTarget(
    name: "ToolTests",
    dependencies: [testSupport, "Base", "Audio", "Safetensors", "Pickles", "Records"],
    path: "Tests/ToolTests", swiftSettings: swiftSettings))

let package = Package(
  name: "ttstools",
  products: tools.map {
    .executable(name: $0.name, targets: [$0.name])
  },
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
  ],
  targets: targets,
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11,
  cxxLanguageStandard: .cxx17
)
