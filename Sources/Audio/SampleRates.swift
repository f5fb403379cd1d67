/// Sample rates that audio may have, in hertz; anything else is taken for a damaged header.
public let sampleRates = 1000...768_000
