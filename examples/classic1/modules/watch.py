from mimocorb.plot_buffer import plot_buffer


def oscilloscope(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    plot_buffer(source_list, sink_list, observe_list, config_dict, **rb_info)()
