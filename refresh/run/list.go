package run

import (
	"context"
	"errors"
	"slices"

	"brs-exec.example/brs-exec/refresh/plan"
)

// followList keeps the profiles of a run as their list has them, for as long as the
// command runs. One that cannot be used is tried again; the one before stays meanwhile.
func followList(o Options, ps *profiles, d *deliveries, s *sight, e *engine) Part {
	watch := o.watchList
	switch {
	case watch != nil:
	case o.Plan.List == nil:
		return Part{}
	default:
		watch = o.Plan.List.Watch
	}
	return Part{Name: "the list of profiles", Run: func(ctx context.Context) error {
		failed := false
		watch(ctx, func(wanted []plan.Profile, err error) (inForce bool) {
			if err == nil {
				err = changeList(ctx, o, ps, d, s, e, wanted)
			}
			switch {
			case ctx.Err() != nil: // the end has come meanwhile
				return true
			case err != nil && !failed:
				about := []any{"err", plan.OneLine(err.Error())}
				if wrong := (*plan.Error)(nil); errors.As(err, &wrong) && wrong.Hint != "" {
					about = append(about, "hint", plan.OneLine(wrong.Hint))
				}
				o.Log.Error("the list of profiles cannot be used; the one before stays", about...)
			case err == nil && failed:
				o.Log.Warn("the list of profiles can be used again")
			}
			failed = err != nil
			return !failed
		})
		return nil
	}}
}

// changeList has other profiles kept. Those that are in both lists are not disturbed.
func changeList(ctx context.Context, o Options, ps *profiles, d *deliveries, s *sight, e *engine, wanted []plan.Profile) error {
	before := ps.all()
	list, err := ps.with(ctx, wanted)
	if err != nil {
		return err
	}
	if err := d.setProfiles(ctx, o, list); err != nil {
		return err
	}
	ps.set(list)
	s.profiles(ps.names())
	if err := e.set(ps.engine()); err != nil {
		return err
	}
	added, removed := missingIn(before, list), missingIn(list, before)
	if len(added)+len(removed) > 0 {
		o.Log.Info("the list of profiles has changed", "added", len(added), "removed", len(removed), "profiles", len(list))
	}
	return nil
}

// missingIn returns the names in list that are not in other.
func missingIn(other, list []*profile) (names []string) {
	has := make(map[string]bool, len(other))
	for _, p := range other {
		has[p.Name] = true
	}
	for _, p := range list {
		if !has[p.Name] {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}
