from mimocorb.buffer_control import rbImport
from mimocorb.pulseSimulator import pulseSimulator


def simulated_pulses(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    sink = sink_list[0]
    simulator = pulseSimulator(config_dict)
    simulator.init(number_of_channels=len(sink["dtype"]), number_of_values=sink["values_per_slot"])

    def events():
        while True:
            yield simulator(), None

    rbImport(config_dict=config_dict, sink_list=sink_list, ufunc=events, **rb_info)()
