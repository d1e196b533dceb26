package shadow

// Prior holds the hyper-parameters of a pooled model. Rates are per day and
// strengths are days of exposure, unless it says otherwise.
type Prior struct {
	// ChangeRate is the rate at which a setting changes of which nothing is
	// known, and EstateStrength how many days of the estate's own it is worth.
	ChangeRate, EstateStrength float64
	// DepartureRate is the same for leaving the template. No public history
	// records it: it is a judgement, a tenth of the rate of change.
	DepartureRate float64
	// TypeStrength draws a type's rate to the estate's, TokenStrength a last
	// path token's to the estate's times its factor, ClassStrength a
	// (type, path)'s to both of these, OwnStrength a setting's to its class.
	TypeStrength, TokenStrength, ClassStrength, OwnStrength float64
	// LeaveStrength and LeaveClassStrength stand for Type-, Token- and
	// ClassStrength where departures are concerned; judgements.
	LeaveStrength, LeaveClassStrength float64
	// OwnWeight and FleetWeight are what a change of its own, and one of its
	// class, is worth. Changes come in clusters, and the next cluster is what is
	// forecast, so they are below 1.
	OwnWeight, FleetWeight float64
	// Floor is the part of the estate's rate that every setting has, whatever its
	// class: a rewrite of the code spares nothing.
	Floor float64
	// TokenShare is the weight of the token's rate against the type's, on a
	// logarithmic scale, in what a class is drawn to.
	TokenShare float64
	// Wave is the expected number of changes that a change of all peers within
	// the wave's half-life causes in the one that has not followed; WaveDone
	// the same for one that has the wave's value already.
	Wave, WaveDone float64
	// Flight is Wave for departures; a judgement, as DepartureRate.
	Flight float64
	// Burst is the expected number of changes of a setting caused by as many
	// recent changes in its resource as it has settings.
	Burst float64
	// Arrival are the shares of how a change chooses its value: the fleet's
	// last, an earlier one of its own, another known in its class, a new one. A
	// judgement that fifty changes of the estate outweigh; ArrivalStrength is
	// how many changes of a class the estate's shares are worth.
	Arrival         [arrivals]float64
	ArrivalStrength float64
	// Discount and Concentration are those of the Pitman-Yor process over the
	// values of a class.
	Discount, Concentration float64
	// TokenFactors are how much more often than its estate's mean a setting of
	// that last path token changes.
	TokenFactors map[string]float64
}

// DefaultPrior returns the hyper-parameters that the program ships. They were
// fitted on the first half of the time of two estates; see docs/model-pooled.md.
func DefaultPrior() Prior {
	return Prior{
		ChangeRate: 0.0006, EstateStrength: 20000,
		DepartureRate: 0.00006,
		TypeStrength:  100, TokenStrength: 6000, ClassStrength: 16000, OwnStrength: 60,
		LeaveStrength: 3000, LeaveClassStrength: 300,
		OwnWeight: 0.3, FleetWeight: 0.7, Floor: 0.025,
		TokenShare: 0.7,
		Wave:       0.05, WaveDone: 0.1, Flight: 2,
		Burst:   0.1,
		Arrival: [arrivals]float64{0.35, 0.05, 0.1, 0.5}, ArrivalStrength: 4,
		Discount: 0.5, Concentration: 1,
		TokenFactors: tokenFactors,
	}
}
